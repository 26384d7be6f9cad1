// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/granite_moe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/family_edges.hpp"
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
  TEST_CASE("Granite MoE: the edges of routing", "[models][granite_moe][edges]") {
    check_edges<hg::granite_moe>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3},
                                  .block = published::granite_moe,
                                  .options = {.k = 3},
                                  .equal = {1.0 / 3, 1.0 / 3, 1.0 / 3}});
    check_all_chosen<hg::granite_moe>({.shape = {.model = 8, .hidden = 5, .experts = 1, .k = 1},
                                       .block = published::granite_moe,
                                       .options = {.k = 1},
                                       .equal = {1}});
    check_all_chosen<hg::granite_moe>({.shape = {.model = 8, .hidden = 5, .experts = 5, .k = 5},
                                       .block = published::granite_moe,
                                       .options = {.k = 5},
                                       .equal = {0.2, 0.2, 0.2, 0.2, 0.2}});
  }
