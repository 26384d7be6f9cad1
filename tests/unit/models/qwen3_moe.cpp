// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/qwen3_moe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::qwen3_moe> conforms("qwen3_moe", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("gate.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "experts.gate_up_proj", "experts.down_proj", s.model, s.hidden, f);
});

}  // namespace

TEST_CASE("Qwen3-MoE layers agree with a transcription in plain loops", "[models][qwen3_moe]") {
  compare_with_oracle<hg::qwen3_moe>({.model = 6, .hidden = 4, .experts = 8, .k = 3, .renormalise = true},
                                     published::qwen3_moe, {.k = 3, .renormalise = true}, 1);
  compare_with_oracle<hg::qwen3_moe>({.model = 6, .hidden = 4, .experts = 8, .k = 3, .renormalise = false},
                                     published::qwen3_moe, {.k = 3, .renormalise = false}, 2);
}
