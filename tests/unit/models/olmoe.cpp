// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/olmoe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::olmoe> conforms("olmoe", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("gate.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "experts.gate_up_proj", "experts.down_proj", s.model, s.hidden, f);
});

}  // namespace

TEST_CASE("OLMoE layers agree with a transcription in plain loops", "[models][olmoe]") {
  compare_with_oracle<hg::olmoe>({.model = 6, .hidden = 4, .experts = 8, .k = 3, .renormalise = false},
                                 published::olmoe, {.k = 3, .renormalise = false}, 1);
  TEST_CASE("OLMoE: the edges of routing", "[models][olmoe][edges]") {
    check_edges<hg::olmoe>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3},
                            .block = published::olmoe,
                            .options = {.k = 3, .renormalise = false},
                            .equal = {0.125, 0.125, 0.125}});
    check_edges<hg::olmoe>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3, .renormalise = true},
                            .block = published::olmoe,
                            .options = {.k = 3, .renormalise = true},
                            .equal = {1.0 / 3, 1.0 / 3, 1.0 / 3}});
    check_all_chosen<hg::olmoe>({.shape = {.model = 8, .hidden = 5, .experts = 1, .k = 1},
                                 .block = published::olmoe,
                                 .options = {.k = 1, .renormalise = false},
                                 .equal = {1}});
    check_all_chosen<hg::olmoe>({.shape = {.model = 8, .hidden = 5, .experts = 5, .k = 5},
                                 .block = published::olmoe,
                                 .options = {.k = 5, .renormalise = false},
                                 .equal = {0.2, 0.2, 0.2, 0.2, 0.2}});
  }
