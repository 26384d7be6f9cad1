// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/frozen.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/with_free_experts.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include "support/expert_checks.hpp"

using namespace headgate_test;

namespace {

/// Seven experts, of which the first three have parameters; experts 1 and 5 have no slot.
template <class Expert>
struct mixed_bank : bank<Expert> {
  using base = bank<Expert>;
  explicit mixed_bank(const Expert& policy) : base(policy) {
    base::offsets = {0, 4, 4, 6, 8, 9, 9, 11};
    base::rows = {5, 0, 3, 1, 2, 3, 0, 4, 4, 2, 5};
    base::dy = random_matrix<typename Expert::scalar>(base::slots(), hg::outputs_of(policy), {8});
  }
};

const hg::with_free_experts<hg::swiglu_expert<double>> swiglu{
    .expert = {.model = 5, .hidden = 7}, .identities = 2, .zeros = 2};

}  // namespace

TEST_CASE("behind the experts come the identities, then the zeros", "[experts][with_free_experts]") {
  mixed_bank b(swiglu);
  bank plain(swiglu.expert);
  plain.params = b.params;
  plain.offsets = {0, 4, 4, 6}, plain.rows = {5, 0, 3, 1, 2, 3};
  const auto y = b.forward();
  CHECK(same_matrix(y.topRows(6), plain.forward()));
  for (const hg::index s : {6, 7, 8}) CHECK(same_matrix(y.row(s), b.x.row(b.rows[static_cast<std::size_t>(s)])));
  CHECK(y.bottomRows(2).isZero(0));
  auto dp = b.zero_gradients();
  const auto dx = b.backward(dp);
  CHECK(same_matrix(dx.middleRows(6, 3), b.dy.middleRows(6, 3)));
  CHECK(dx.bottomRows(2).isZero(0));
  const hg::thread_pool pool(3);
  CHECK(same_matrix(b.forward(pool), y));
  CHECK(same_matrix(b.backward(dp, pool), dx));
}

TEST_CASE("with_free_experts has the right gradients", "[experts][with_free_experts]") {
  mixed_bank b(swiglu);
  auto dp = b.zero_gradients();
  b.forward();
  const hg::matrix<double> dx_slots = b.backward(dp);
  hg::matrix<double> dx = hg::matrix<double>::Zero(b.x.rows(), b.x.cols());
  for (hg::index s = 0; s < b.slots(); ++s) dx.row(b.rows[static_cast<std::size_t>(s)]) += dx_slots.row(s);
  const auto loss = [&] { return b.forward().cwiseProduct(b.dy).sum(); };
  CHECK(hg::testing::gradient_check(loss, {{"x", b.x, dx}}, strict()));
  for (std::size_t e = 0; e < 3; ++e)
    CHECK(hg::testing::gradient_check(
        loss, {{"gate", b.params[e].gate, dp[e].gate}, {"down", b.params[e].down, dp[e].down}}, strict()));
}

TEST_CASE("with_free_experts on one block is its expert", "[experts][with_free_experts]") {
  check_block_equals_grouped(swiglu);
  check_expert_gradients(swiglu);
}

TEST_CASE("how many experts have parameters, frozen ones too", "[experts][with_free_experts]") {
  CHECK(hg::parameterised_of(swiglu, 10) == 6);
  CHECK(hg::parameterised_of(hg::frozen{swiglu}, 10) == 6);
  CHECK(hg::parameterised_of(swiglu.expert, 10) == 10);
  CHECK(hg::is_frozen<hg::with_free_experts<hg::frozen<hg::linear_expert<double>>>>);
  CHECK_FALSE(hg::is_frozen<std::remove_const_t<decltype(swiglu)>>);
}

TEST_CASE("with_free_experts refuses what cannot be", "[experts][with_free_experts]") {
  using linear = hg::linear_expert<double>;
  using expert = hg::with_free_experts<linear>;
  CHECK(refusal([] {
          expert{linear{.model = 5, .outputs = 5}, -1, 2}.check();
        }) == "with_free_experts: identities is -1 and zeros 2, they must be at least 0");
  CHECK(refusal([] {
          expert{linear{.model = 5, .outputs = 3}, 1, 0}.check();
        }) == "with_free_experts: an identity has outputs = model = 5, the other experts have outputs = 3");
  CHECK(refusal([] { expert{linear{.model = 5, .outputs = 3}, 0, 2}.check(); }).empty());
  CHECK(refusal([] {
          expert{linear{.model = 5, .outputs = 0}, 0, 2}.check();
        }) == "linear_expert: outputs is 0, it must be at least 1");
}
