// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/head/noisy_head.hpp>

#include <headgate/gates/gate.hpp>
#include <headgate/gates/score/elementwise.hpp>
#include <headgate/gates/select/all_experts.hpp>
#include <headgate/gates/weigh/raw.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

using bare = hg::gate<hg::noisy_head<double>, hg::logits_score, hg::all_experts, hg::raw>;

bare gate_of(hg::index model, hg::index experts) {
  return {.head = {.model = model, .experts = experts}, .score = {}, .select = {}, .weigh = {}};
}

}  // namespace

TEST_CASE("noisy_head adds softplus(x noise_weight') + epsilon times normal noise in training",
          "[gates][head][noisy_head]") {
  routed gate(gate_of(3, 4));
  gate.p.head.noise_weight = random_matrix(4, 3, {2});
  const auto x = random_matrix(5, 3, {3});
  const auto& r = gate.training(x, 17);
  for (hg::index t = 0; t < 5; ++t)
    for (hg::index e = 0; e < 4; ++e) {
      const double clean = x.row(t).dot(gate.p.head.weight.row(e));
      const double scale = std::log1p(std::exp(x.row(t).dot(gate.p.head.noise_weight.row(e)))) + 0.01;
      CHECK(r.clean_logits(t, e) == Approx(clean).epsilon(1e-13));
      CHECK(r.noise_scale(t, e) == Approx(scale).epsilon(1e-13));
      CHECK(r.logits(t, e) == Approx(clean + scale * hg::normal({17}, t, e)).epsilon(1e-12));
    }
}

TEST_CASE("noisy_head adds no noise in evaluation and records none", "[gates][head][noisy_head]") {
  routed gate(gate_of(3, 4));
  const auto x = random_matrix(5, 3, {3});
  gate.training(x, 17);
  const auto& r = gate(x);
  CHECK((hg::map_of(r.logits.block()) - x * gate.p.head.weight.transpose()).norm() < 1e-14);
  CHECK(r.clean_logits.size() == 0);
  CHECK(r.noise_scale.size() == 0);
}

TEST_CASE("the same stream gives the same noise, another step another", "[gates][head][noisy_head]") {
  routed gate(gate_of(3, 4));
  const auto x = random_matrix(5, 3, {3});
  const auto first = dense_weights(gate.training(x, 17));
  CHECK(dense_weights(gate.training(x, 17)) == first);
  CHECK(dense_weights(gate.training(x, 18)) != first);
}

TEST_CASE("the noise of noisy_head starts at log 2 + epsilon for every token", "[gates][head][noisy_head]") {
  routed gate(gate_of(3, 4));
  const auto& r = gate.training(random_matrix(5, 3, {3}), 1);
  for (hg::index t = 0; t < 5; ++t) CHECK(r.noise_scale(t, 2) == Approx(std::log(2.0) + 0.01).epsilon(1e-14));
}

TEST_CASE("the gradient of noisy_head agrees with differences, with the noise and without",
          "[gates][head][noisy_head]") {
  CHECK(hg::testing::check_gate(gate_of(6, 5)));
}

TEST_CASE("noisy_head refuses an epsilon that is negative or not finite", "[gates][head][noisy_head]") {
  auto gate = gate_of(3, 4);
  gate.head.epsilon = -0.5;
  CHECK_THROWS_WITH(gate.check(), "noisy_head: epsilon is -0.5, it must be finite and at least 0");
  gate.head.epsilon = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(gate.check(), contains("noisy_head: epsilon is"));
  gate.head.epsilon = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(gate.check(), "noisy_head: epsilon is inf, it must be finite and at least 0");
  gate.head.epsilon = 0;
  CHECK_NOTHROW(gate.check());
}
