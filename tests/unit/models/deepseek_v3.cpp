// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/deepseek_v3.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
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
}
