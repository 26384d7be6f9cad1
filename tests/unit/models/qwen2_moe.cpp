// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/qwen2_moe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/family_edges.hpp"
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
  TEST_CASE("Qwen2-MoE: the edges of routing", "[models][qwen2_moe][edges]") {
    check_edges<hg::qwen2_moe>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3, .shared_hidden = 3},
                                .block = published::qwen2_moe,
                                .options = {.k = 3, .renormalise = false},
                                .equal = {0.125, 0.125, 0.125}});
    check_edges<hg::qwen2_moe>(
        {.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3, .shared_hidden = 3, .renormalise = true},
         .block = published::qwen2_moe,
         .options = {.k = 3, .renormalise = true},
         .equal = {1.0 / 3, 1.0 / 3, 1.0 / 3}});
    check_all_chosen<hg::qwen2_moe>({.shape = {.model = 8, .hidden = 5, .experts = 1, .k = 1, .shared_hidden = 3},
                                     .block = published::qwen2_moe,
                                     .options = {.k = 1, .renormalise = false},
                                     .equal = {1}});
    check_all_chosen<hg::qwen2_moe>({.shape = {.model = 8, .hidden = 5, .experts = 5, .k = 5, .shared_hidden = 3},
                                     .block = published::qwen2_moe,
                                     .options = {.k = 5, .renormalise = false},
                                     .equal = {0.2, 0.2, 0.2, 0.2, 0.2}});
  }
