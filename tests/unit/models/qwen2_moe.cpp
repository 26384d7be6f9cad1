// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/qwen2_moe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::qwen2_moe> conforms("qwen2_moe", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("gate.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "experts.gate_up_proj", "experts.down_proj", s.model, s.hidden, f);
  hg::glu_tensors(p.shared.expert, "shared_expert.", hg::proj_names, s.model, s.shared_hidden, f);
  f(p.shared.gate_weight, hg::whole("shared_expert_gate.weight", 1, s.model));
});

}  // namespace
