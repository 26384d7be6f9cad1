// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/qwen3_moe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/family_edges.hpp"
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
  TEST_CASE("Qwen3-MoE: the edges of routing", "[models][qwen3_moe][edges]") {
    check_edges<hg::qwen3_moe>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3},
                                .block = published::qwen3_moe,
                                .options = {.k = 3},
                                .equal = {1.0 / 3, 1.0 / 3, 1.0 / 3}});
    check_edges<hg::qwen3_moe>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3, .renormalise = false},
                                .block = published::qwen3_moe,
                                .options = {.k = 3, .renormalise = false},
                                .equal = {0.125, 0.125, 0.125}});
    check_all_chosen<hg::qwen3_moe>({.shape = {.model = 8, .hidden = 5, .experts = 1, .k = 1},
                                     .block = published::qwen3_moe,
                                     .options = {.k = 1},
                                     .equal = {1}});
    check_all_chosen<hg::qwen3_moe>({.shape = {.model = 8, .hidden = 5, .experts = 5, .k = 5},
                                     .block = published::qwen3_moe,
                                     .options = {.k = 5},
                                     .equal = {0.2, 0.2, 0.2, 0.2, 0.2}});
  }
