// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer_state.hpp>

#include "support/layer_checks.hpp"

using namespace headgate_test;

namespace {

using gate = hg::topk_gate<float>;
using expert = hg::linear_expert<float>;
using parameters = hg::layer_parameters<gate, expert, hg::no_shared_expert>;

parameters of_experts(hg::index count) {
  parameters p;
  p.gate.head.weight = random_matrix<float>(count, 3, {1});
  p.experts.resize(count);
  for (auto& e : p.experts) e.weight = random_matrix<float>(2, 3, {2});
  return p;
}

}  // namespace

TEST_CASE("a walk visits objects of one shape together, under dotted names", "[layer][layer_state]") {
  auto p = of_experts(11);
  const auto d = of_experts(11);
  std::string names;
  parameters::walk<hg::fields_of::training>(
      [&](std::string_view name, auto& w, const auto& dw) {
        names += std::string(name) + " ";
        w += dw;
      },
      p, d);
  CHECK(names.substr(0, 29) == "gate.weight experts.0.weight ");
  CHECK(names.substr(names.size() - 18) == "experts.10.weight ");
  CHECK(same_matrix(p.experts[10].weight, hg::matrix<float>(2 * d.experts[10].weight)));
}

TEST_CASE("a fresh tape is for training and holds no forward", "[layer][layer_state]") {
  const hg::layer_tape<gate, expert, hg::no_shared_expert> tape;
  CHECK(tape.training);
  CHECK(tape.tokens == -1);
  CHECK((tape.random.seed == 0 && tape.random.step == 0));
}
