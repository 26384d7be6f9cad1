// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/phi3_5_moe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::phi3_5_moe> conforms("phimoe", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("router.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "experts.gate_up_proj", "experts.down_proj", s.model, s.hidden, f);
});

}  // namespace

TEST_CASE("Phi-3.5-MoE layers agree with a transcription in plain loops", "[models][phi3_5_moe]") {
  compare_with_oracle<hg::phi3_5_moe>({.model = 6, .hidden = 5, .experts = 8, .jitter = 0.13}, published::phi3_5_moe,
                                      {.jitter = 0.13}, 1);
  compare_with_oracle<hg::phi3_5_moe>({.model = 6, .hidden = 5, .experts = 8, .jitter = 0.01}, published::phi3_5_moe,
                                      {.jitter = 0.01}, 2);
  TEST_CASE("Phi-3.5-MoE: the edges of routing", "[models][phi3_5_moe][edges]") {
    check_edges<hg::phi3_5_moe>({.shape = {.model = 8, .hidden = 5, .experts = 8},
                                 .block = published::phi3_5_moe,
                                 .options = {},
                                 .equal = {1.0 / 8, 1.0 / 7}});
    check_edges<hg::phi3_5_moe>({.shape = {.model = 8, .hidden = 5, .experts = 3, .jitter = 0.3},
                                 .block = published::phi3_5_moe,
                                 .options = {.jitter = 0.3},
                                 .equal = {1.0 / 3, 1.0 / 2}});
    check_all_chosen<hg::phi3_5_moe>({.shape = {.model = 8, .hidden = 5, .experts = 2},
                                      .block = published::phi3_5_moe,
                                      .options = {},
                                      .equal = {0.5, 1}});
    // Two experts are the fewest: k is 2.
    CHECK_THROWS_WITH(hg::make_moe_layer<hg::phi3_5_moe>({.model = 8, .hidden = 5, .experts = 1}, 1),
                      "sparsemixer: experts is 1, it must be at least 2");
  }
