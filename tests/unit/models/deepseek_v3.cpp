// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/deepseek_v3.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::deepseek_v3> conforms("deepseek_v3", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("gate.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "experts.gate_up_proj", "experts.down_proj", s.model, s.hidden, f);
  hg::glu_tensors(p.shared, "shared_experts.", hg::proj_names, s.model, s.shared_hidden, f);
});

}  // namespace

TEST_CASE("DeepSeek-V3 layers agree with a transcription in plain loops", "[models][deepseek_v3]") {
  // as many experts as the kept groups have: a mask of 0 would let others in where s + bias is negative
  compare_with_oracle<hg::deepseek_v3>(
      {.model = 6, .hidden = 4, .experts = 8, .k = 4, .groups = 4, .kept_groups = 2, .scale = 2.5, .shared_hidden = 5},
      published::deepseek_v3, {.k = 4, .groups = 4, .kept_groups = 2, .scale = 2.5}, 1);
  compare_with_oracle<hg::deepseek_v3>(
      {.model = 6, .hidden = 4, .experts = 12, .k = 3, .groups = 3, .kept_groups = 2, .scale = 2.5, .shared_hidden = 5},
      published::deepseek_v3, {.k = 3, .groups = 3, .kept_groups = 2, .scale = 2.5}, 2);
  // Kimi K2, GLM-4.5
  compare_with_oracle<hg::deepseek_v3>({.model = 6,
                                        .hidden = 4,
                                        .experts = 12,
                                        .k = 4,
                                        .groups = 1,
                                        .kept_groups = 1,
                                        .scale = 2.827,
                                        .shared_hidden = 4},
                                       published::deepseek_v3, {.k = 4, .scale = 2.827}, 3);
  compare_with_oracle<hg::deepseek_v3>({.model = 6,
                                        .hidden = 4,
                                        .experts = 8,
                                        .k = 2,
                                        .groups = 1,
                                        .kept_groups = 1,
                                        .scale = 1,
                                        .renormalise = false,
                                        .shared_hidden = 4},
                                       published::deepseek_v3, {.k = 2, .renormalise = false}, 4);
  TEST_CASE("DeepSeek-V3: the edges of routing", "[models][deepseek_v3][edges]") {
    check_edges<hg::deepseek_v3>({.shape = {.model = 8,
                                            .hidden = 5,
                                            .experts = 12,
                                            .k = 3,
                                            .groups = 3,
                                            .kept_groups = 2,
                                            .scale = 2.5,
                                            .shared_hidden = 3},
                                  .block = published::deepseek_v3,
                                  .options = {.k = 3, .groups = 3, .kept_groups = 2, .scale = 2.5},
                                  .equal = {2.5 / 3, 2.5 / 3, 2.5 / 3},
                                  .at_bottom = {0, 0, 0}});
    check_edges<hg::deepseek_v3>({.shape = {.model = 8,
                                            .hidden = 5,
                                            .experts = 8,
                                            .k = 3,
                                            .groups = 1,
                                            .kept_groups = 1,
                                            .scale = 1,
                                            .renormalise = false,
                                            .shared_hidden = 3},
                                  .block = published::deepseek_v3,
                                  .options = {.k = 3, .renormalise = false},
                                  .equal = {0.5, 0.5, 0.5},
                                  .at_bottom = {0, 0, 0}});
    check_all_chosen<hg::deepseek_v3>({.shape = {.model = 8,
                                                 .hidden = 5,
                                                 .experts = 2,
                                                 .k = 2,
                                                 .groups = 1,
                                                 .kept_groups = 1,
                                                 .scale = 2.5,
                                                 .shared_hidden = 3},
                                       .block = published::deepseek_v3,
                                       .options = {.k = 2, .scale = 2.5},
                                       .equal = {1.25, 1.25},
                                       .at_bottom = {0, 0}});
    check_all_chosen<hg::deepseek_v3>({.shape = {.model = 8,
                                                 .hidden = 5,
                                                 .experts = 6,
                                                 .k = 6,
                                                 .groups = 3,
                                                 .kept_groups = 3,
                                                 .scale = 3,
                                                 .shared_hidden = 3},
                                       .block = published::deepseek_v3,
                                       .options = {.k = 6, .groups = 3, .kept_groups = 3, .scale = 3},
                                       .equal = {0.5, 0.5, 0.5, 0.5, 0.5, 0.5},
                                       .at_bottom = {0, 0, 0, 0, 0, 0}});
    // Two experts are the fewest: groups are judged by their two best.
    CHECK_THROWS_WITH(hg::make_moe_layer<hg::deepseek_v3>(
                          {.model = 8, .hidden = 5, .experts = 1, .k = 1, .groups = 1, .kept_groups = 1}, 1),
                      "group_limit: a group is judged by its best 2 experts, it has 1");
  }
