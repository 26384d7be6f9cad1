// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/granite_moe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::granite_moe> conforms("granitemoe", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("router.layer.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "input_linear.weight", "output_linear.weight", s.model, s.hidden, f);
});

}  // namespace

TEST_CASE("Granite MoE layers agree with a transcription in plain loops", "[models][granite_moe]") {
  compare_with_oracle<hg::granite_moe>({.model = 6, .hidden = 5, .experts = 8, .k = 3}, published::granite_moe,
                                       {.k = 3}, 1);
}
