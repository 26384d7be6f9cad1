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

TEST_CASE("ready parameters are checked as far as policies tell their shapes", "[layer][layer_state]") {
  const gate g{.head = {.model = 3, .experts = 4}, .select = {.k = 1}};
  const hg::no_shared_expert none;
  const auto refusal_of = [&](const auto& of, const auto& ready) {
    return refusal([&] { hg::check_ready(g, of, none, ready); });
  };
  const expert known{.model = 3, .outputs = 2};
  CHECK(refusal_of(known, of_experts(4)).empty());
  CHECK(refusal_of(known, of_experts(5)) == "layer: the parameters are of 5 experts, the gate says experts = 4");
  CHECK(refusal_of(expert{.model = 3, .outputs = 5}, of_experts(4)) ==
        "linear_expert: weight is 2 x 3, it must be 5 x 3");

  struct silent : expert {  // says nothing about its parameters
    void check(const params&) = delete;
  };
  hg::layer_parameters<gate, silent, hg::no_shared_expert> ready;
  ready.gate = of_experts(4).gate;
  ready.experts = of_experts(4).experts;
  const silent quiet{expert{.model = 3, .outputs = 5}};
  CHECK(refusal_of(quiet, ready).empty());
  ready.experts[3].weight.resize(2, 2);
  CHECK(refusal_of(quiet, ready) == "layer: the parameter experts.3.weight is 2 x 2, that of expert 0 is 2 x 3");

  const hg::linear_expert<float> shared{.model = 3, .outputs = 3};
  hg::layer_parameters<gate, expert, expert> both{of_experts(4).gate, of_experts(4).experts, {}};
  CHECK(refusal([&] { hg::check_ready(g, known, shared, both); }) ==
        "linear_expert: weight is 0 x 0, it must be 3 x 3");
}
