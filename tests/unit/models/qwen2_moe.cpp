// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/qwen2_moe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::qwen2_moe> conforms("qwen2_moe", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("gate.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "experts.gate_up_proj", "experts.down_proj", s.model, s.hidden, f);
  hg::glu_tensors(p.shared.expert, "shared_expert.", hg::proj_names, s.model, s.shared_hidden, f);
  f(p.shared.gate_weight, hg::whole("shared_expert_gate.weight", 1, s.model));
});

}  // namespace

TEST_CASE("Qwen2-MoE layers agree with a transcription in plain loops", "[models][qwen2_moe]") {
  compare_with_oracle<hg::qwen2_moe>(
      {.model = 6, .hidden = 4, .experts = 8, .k = 3, .shared_hidden = 5, .renormalise = false}, published::qwen2_moe,
      {.k = 3, .renormalise = false}, 1);
  compare_with_oracle<hg::qwen2_moe>(
      {.model = 6, .hidden = 4, .experts = 8, .k = 3, .shared_hidden = 5, .renormalise = true}, published::qwen2_moe,
      {.k = 3, .renormalise = true}, 2);
}
