// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/deepseek_v2.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::deepseek_v2> conforms("deepseek_v2", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("gate.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "experts.gate_up_proj", "experts.down_proj", s.model, s.hidden, f);
  hg::glu_tensors(p.shared, "shared_experts.", hg::proj_names, s.model, s.shared_hidden, f);
});

}  // namespace

TEST_CASE("DeepSeek-V2 layers agree with a transcription in plain loops", "[models][deepseek_v2]") {
  compare_with_oracle<hg::deepseek_v2>(
      {.model = 6, .hidden = 4, .experts = 8, .k = 3, .groups = 4, .kept_groups = 2, .scale = 1.5, .shared_hidden = 5},
      published::deepseek_v2, {.k = 3, .groups = 4, .kept_groups = 2, .renormalise = false, .scale = 1.5}, 1);
  compare_with_oracle<hg::deepseek_v2>(
      {.model = 6, .hidden = 4, .experts = 8, .k = 3, .groups = 1, .kept_groups = 1, .scale = 1.5, .shared_hidden = 5},
      published::deepseek_v2, {.k = 3, .renormalise = false, .scale = 1.5}, 2);
  compare_with_oracle<hg::deepseek_v2>({.model = 6,
                                        .hidden = 4,
                                        .experts = 8,
                                        .k = 3,
                                        .groups = 4,
                                        .kept_groups = 2,
                                        .scale = 1.5,
                                        .renormalise = true,
                                        .shared_hidden = 5},
                                       published::deepseek_v2,
                                       {.k = 3, .groups = 4, .kept_groups = 2, .renormalise = true, .scale = 1.5}, 3);
  TEST_CASE("DeepSeek-V2: the edges of routing", "[models][deepseek_v2][edges]") {
    check_edges<hg::deepseek_v2>({.shape = {.model = 8,
                                            .hidden = 5,
                                            .experts = 12,
                                            .k = 3,
                                            .groups = 3,
                                            .kept_groups = 2,
                                            .scale = 16,
                                            .shared_hidden = 3},
                                  .block = published::deepseek_v2,
                                  .options = {.k = 3, .groups = 3, .kept_groups = 2, .renormalise = false, .scale = 16},
                                  .equal = {16.0 / 12, 16.0 / 12, 16.0 / 12}});
    check_edges<hg::deepseek_v2>({.shape = {.model = 8,
                                            .hidden = 5,
                                            .experts = 12,
                                            .k = 3,
                                            .groups = 3,
                                            .kept_groups = 2,
                                            .renormalise = true,
                                            .shared_hidden = 3},
                                  .block = published::deepseek_v2,
                                  .options = {.k = 3, .groups = 3, .kept_groups = 2},
                                  .equal = {1.0 / 3, 1.0 / 3, 1.0 / 3}});
    check_edges<hg::deepseek_v2>({.shape = {.model = 8,
                                            .hidden = 5,
                                            .experts = 8,
                                            .k = 3,
                                            .groups = 1,
                                            .kept_groups = 1,
                                            .scale = 1,
                                            .shared_hidden = 3},
                                  .block = published::deepseek_v2,
                                  .options = {.k = 3, .renormalise = false},
                                  .equal = {0.125, 0.125, 0.125}});
    check_all_chosen<hg::deepseek_v2>({.shape = {.model = 8,
                                                 .hidden = 5,
                                                 .experts = 1,
                                                 .k = 1,
                                                 .groups = 1,
                                                 .kept_groups = 1,
                                                 .scale = 16,
                                                 .shared_hidden = 3},
                                       .block = published::deepseek_v2,
                                       .options = {.k = 1, .renormalise = false, .scale = 16},
                                       .equal = {16}});
    check_all_chosen<hg::deepseek_v2>(
        {.shape = {.model = 8,
                   .hidden = 5,
                   .experts = 6,
                   .k = 6,
                   .groups = 3,
                   .kept_groups = 3,
                   .scale = 3,
                   .shared_hidden = 3},
         .block = published::deepseek_v2,
         .options = {.k = 6, .groups = 3, .kept_groups = 3, .renormalise = false, .scale = 3},
         .equal = {0.5, 0.5, 0.5, 0.5, 0.5, 0.5}});
  }
