// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/head/linear_head.hpp>

#include <headgate/gates/gate.hpp>
#include <headgate/gates/score/elementwise.hpp>
#include <headgate/gates/select/all_experts.hpp>
#include <headgate/gates/weigh/raw.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

/// The head alone: every logit becomes a weight.
template <class Head>
using bare = hg::gate<Head, hg::logits_score, hg::all_experts, hg::raw>;

}  // namespace

TEST_CASE("linear_head computes x weight' + bias", "[gates][head][linear_head]") {
  routed gate(bare<hg::linear_head<double, 3, 2, hg::biases::used>>{});
  gate.p.head.weight << 1, 2, 3, -1, 0, 0.5;
  gate.p.head.bias << 10, 20;
  const auto& r = gate(rows_of({{1, 1, 1}, {2, 0, -4}}));
  CHECK(hg::map_of(r.logits.block()) == rows_of({{16, 19.5}, {0, 16}}));
}

TEST_CASE("linear_head starts at normal weights of standard deviation 1 / sqrt(model) and no bias",
          "[gates][head][linear_head]") {
  std::mt19937_64 generator(1);
  const auto p =
      hg::linear_head<double, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 400, .experts = 50}.init(generator);
  CHECK(p.weight.rows() == 50);
  CHECK(p.weight.cols() == 400);
  CHECK(std::abs(p.weight.mean()) < 3 * 0.05 / std::sqrt(20000.0));
  CHECK(p.weight.norm() / std::sqrt(20000.0) == Approx(0.05).epsilon(0.02));
  CHECK(p.bias == hg::matrix<double>::Zero(1, 50));
  const auto without = hg::linear_head<double>{.model = 4, .experts = 5}.init(generator);
  CHECK(without.bias.size() == 0);
}

TEST_CASE("the gradient of linear_head agrees with differences", "[gates][head][linear_head]") {
  CHECK(hg::testing::check_gate(bare<hg::linear_head<double>>{.head = {.model = 6, .experts = 5}}));
  CHECK(hg::testing::check_gate(
      bare<hg::linear_head<double, hg::dynamic, hg::dynamic, hg::biases::used>>{.head = {.model = 6, .experts = 5}}));
}
