// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/expert_parallel_state.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>

#include "support/layer_checks.hpp"

using namespace headgate_test;

namespace {

using expert = hg::linear_expert<float>;
using parameters = hg::expert_parallel_parameters<hg::balanced_sigmoid_gate<float>, expert, expert>;

template <hg::fields_of Which>
std::string names_of(parameters& p, bool replicated) {
  std::string all;
  const auto note = [&](std::string_view name, const auto&, const auto&) { all += std::string(name) + " "; };
  replicated ? parameters::walk_replicated<Which>(note, p, p) : parameters::walk<Which>(note, p, p);
  return all;
}

}  // namespace

TEST_CASE("a walk over a rank's parameters says the experts' numbers in the whole layer",
          "[expert_parallel][expert_parallel_state]") {
  parameters p;
  p.experts.resize(2);
  p.ids.push_back(3);
  p.ids.push_back(12);
  constexpr auto training = hg::fields_of::training, storage = hg::fields_of::storage;
  CHECK(names_of<training>(p, false) == "gate.weight experts.3.weight experts.12.weight shared.weight ");
  CHECK(names_of<storage>(p, false) ==
        "gate.weight gate.selection_bias experts.3.weight experts.12.weight shared.weight ");
  CHECK(names_of<training>(p, true) == "gate.weight shared.weight ");
  CHECK(names_of<storage>(p, true) == "gate.weight gate.selection_bias shared.weight ");
}
