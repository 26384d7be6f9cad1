// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/olmoe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::olmoe> conforms("olmoe", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("gate.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "experts.gate_up_proj", "experts.down_proj", s.model, s.hidden, f);
});

}  // namespace

TEST_CASE("OLMoE layers agree with a transcription in plain loops", "[models][olmoe]") {
  compare_with_oracle<hg::olmoe>({.model = 6, .hidden = 4, .experts = 8, .k = 3, .renormalise = false},
                                 published::olmoe, {.k = 3, .renormalise = false}, 1);
}
