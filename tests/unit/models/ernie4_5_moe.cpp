// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/ernie4_5_moe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::ernie4_5_moe> conforms("ernie4_5_moe", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("gate.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "experts.gate_up_proj", "experts.down_proj", s.model, s.hidden, f);
  hg::glu_tensors(p.shared, "shared_experts.", hg::proj_names, s.model, s.shared_hidden, f);
});

}  // namespace

TEST_CASE("ERNIE 4.5 layers agree with a transcription in plain loops", "[models][ernie4_5_moe]") {
  compare_with_oracle<hg::ernie4_5_moe>(
      {.model = 6, .hidden = 4, .experts = 8, .k = 3, .norm_min = 1e-12, .shared_hidden = 5}, published::ernie4_5_moe,
      {.k = 3, .norm_min = 1e-12}, 1);
  compare_with_oracle<hg::ernie4_5_moe>(
      {.model = 6, .hidden = 4, .experts = 8, .k = 2, .norm_min = 0.3, .shared_hidden = 5}, published::ernie4_5_moe,
      {.k = 2, .norm_min = 0.3}, 2);
  TEST_CASE("ERNIE 4.5: the edges of routing", "[models][ernie4_5_moe][edges]") {
    check_edges<hg::ernie4_5_moe>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3, .shared_hidden = 3},
                                   .block = published::ernie4_5_moe,
                                   .options = {.k = 3},
                                   .equal = {1.0 / 3, 1.0 / 3, 1.0 / 3}});
    check_all_chosen<hg::ernie4_5_moe>({.shape = {.model = 8, .hidden = 5, .experts = 1, .k = 1, .shared_hidden = 3},
                                        .block = published::ernie4_5_moe,
                                        .options = {.k = 1},
                                        .equal = {1}});
    check_all_chosen<hg::ernie4_5_moe>({.shape = {.model = 8, .hidden = 5, .experts = 5, .k = 5, .shared_hidden = 3},
                                        .block = published::ernie4_5_moe,
                                        .options = {.k = 5},
                                        .equal = {0.2, 0.2, 0.2, 0.2, 0.2}});
  }
