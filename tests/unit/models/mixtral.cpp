// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/mixtral.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::mixtral> conforms("mixtral", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("gate.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "experts.gate_up_proj", "experts.down_proj", s.model, s.hidden, f);
});

}  // namespace

TEST_CASE("Mixtral layers agree with a transcription in plain loops", "[models][mixtral]") {
  compare_with_oracle<hg::mixtral>({.model = 6, .hidden = 5, .experts = 8, .k = 2}, published::mixtral, {.k = 2}, 1);
  TEST_CASE("Mixtral: the edges of routing", "[models][mixtral][edges]") {
    check_edges<hg::mixtral>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3},
                              .block = published::mixtral,
                              .options = {.k = 3},
                              .equal = {1.0 / 3, 1.0 / 3, 1.0 / 3}});
    check_all_chosen<hg::mixtral>({.shape = {.model = 8, .hidden = 5, .experts = 1, .k = 1},
                                   .block = published::mixtral,
                                   .options = {.k = 1},
                                   .equal = {1}});
    check_all_chosen<hg::mixtral>({.shape = {.model = 8, .hidden = 5, .experts = 5, .k = 5},
                                   .block = published::mixtral,
                                   .options = {.k = 5},
                                   .equal = {0.2, 0.2, 0.2, 0.2, 0.2}});
  }
