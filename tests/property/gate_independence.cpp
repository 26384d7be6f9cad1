// SPDX-License-Identifier: BSD-3-Clause
// In evaluation a token's routing does not depend on its batch: bit for bit, for every named gate, for float and for
// batches of 1 to 200 tokens in any order.
#include <headgate/core/bf16.hpp>
#include <headgate/gates/named.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;
using hg::testing::detail::decision;
using hg::testing::detail::same_decision;

namespace {

constexpr hg::index model = 37, experts = 11;

template <class Gate>
void check_independent(const Gate& gate) {
  routed whole(gate), part(gate);
  const hg::matrix<float> x = random_matrix<float>(200, model, {1});
  const auto& batch = whole(x);
  const auto check = [&](hg::index row, hg::index token) {
    return same_decision(decision(part.r, row), decision(batch, token), 0);
  };
  for (const hg::index tokens : {1, 2, 3, 5, 16, 61, 199}) {
    const hg::index first = (tokens * 17) % (200 - tokens + 1);
    part(x.middleRows(first, tokens));
    for (hg::index t = 0; t < tokens; ++t) CHECK(check(t, first + t));
  }
  part(x.colwise().reverse());
  for (hg::index t = 0; t < 200; ++t) CHECK(check(t, 199 - t));
}

}  // namespace

TEST_CASE("the routing of the top-k gates does not depend on the batch", "[property][gates][independence]") {
  check_independent(hg::topk_gate<float>{.head = {.model = model, .experts = experts}, .select = {.k = 2}});
  check_independent(hg::softmax_topk_gate<float>{.head = {.model = model, .experts = experts}, .select = {.k = 3}});
  check_independent(
      hg::renormalised_topk_gate<float>{.head = {.model = model, .experts = experts}, .select = {.k = 2}});
  check_independent(hg::noisy_topk_gate<float>{.head = {.model = model, .experts = experts}, .select = {.k = 2}});
  check_independent(hg::sigmoid_gate<float>{.head = {.model = model, .experts = experts}, .select = {.k = 4}});
  check_independent(hg::balanced_sigmoid_gate<float>{.head = {.model = model, .experts = experts}, .select = {.k = 4}});
}

TEST_CASE("the routing of gates with groups, biases and casts does not depend on the batch",
          "[property][gates][independence]") {
  using limited = hg::adjusted<hg::group_limit<hg::top_two_sum>, hg::top_k<>>;
  using deepseek_v3 =
      hg::gate<hg::linear_head<float>, hg::sigmoid_score, hg::adjusted<hg::selection_bias<float>, limited>,
               hg::scaled<float, hg::renormalised_plus<float>>>;
  check_independent(deepseek_v3{.head = {.model = model, .experts = 12},
                                .select = {.select = {.adjust = {.groups = 3, .keep = 2}, .select = {.k = 4}}},
                                .weigh = {.factor = 2.5F}});
  using dbrx = hg::gate<hg::linear_head<float>, hg::rounded_score<hg::bf16, hg::softmax>, hg::top_k<>,
                        hg::rounded_to<hg::bf16, hg::norm_divided<float>>>;
  check_independent(
      dbrx{.head = {.model = model, .experts = experts}, .select = {.k = 4}, .weigh = {.weigh = {.p = 2}}});
}

TEST_CASE("the routing of the dense gates does not depend on the batch", "[property][gates][independence]") {
  check_independent(hg::softmax_gate<float>{.head = {.model = model, .experts = experts}});
  check_independent(hg::gumbel_gate<float>{.head = {.model = model, .experts = experts}});
  check_independent(
      hg::temperature_gate<float>{.head = {.model = model, .experts = experts}, .score = {.temperature = 0.3F}});
  check_independent(hg::dense_to_sparse_gate<float>{.head = {.model = model, .experts = experts}});
  check_independent(hg::activation_dense_to_sparse_gate<float>{.head = {.model = model, .experts = experts}});
}

TEST_CASE("the routing of the gates with a varying number of experts does not depend on the batch",
          "[property][gates][independence]") {
  check_independent(hg::adamole_gate<float>{.head = {.model = model, .experts = experts}});
  check_independent(hg::top_p_gate<float>{.head = {.model = model, .experts = experts}});
  check_independent(hg::relu_gate<float>{.head = {.model = model, .experts = experts}});
}
