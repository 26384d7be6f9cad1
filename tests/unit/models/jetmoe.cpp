// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/jetmoe.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::jetmoe> conforms("jetmoe", [](const auto& s, const auto& p, const auto& f) {
  f(p.gate.head.weight, hg::whole("router.layer.weight", s.experts, s.model));
  hg::glu_tensors_stacked(p.experts, "input_linear.weight", "output_linear.weight", s.model, s.hidden, f);
  f(p.shared.bias, hg::vector_of("bias", s.model));
});

}  // namespace

TEST_CASE("JetMoE layers agree with a transcription in plain loops", "[models][jetmoe]") {
  compare_with_oracle<hg::jetmoe>({.model = 6, .hidden = 5, .experts = 8, .k = 2}, published::jetmoe, {.k = 2}, 1);
  TEST_CASE("JetMoE: the edges of routing", "[models][jetmoe][edges]") {
    check_edges<hg::jetmoe>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3},
                             .block = published::jetmoe,
                             .options = {.k = 3},
                             .equal = {1.0 / 3, 1.0 / 3, 1.0 / 3}});
    check_all_chosen<hg::jetmoe>({.shape = {.model = 8, .hidden = 5, .experts = 1, .k = 1},
                                  .block = published::jetmoe,
                                  .options = {.k = 1},
                                  .equal = {1}});
    check_all_chosen<hg::jetmoe>({.shape = {.model = 8, .hidden = 5, .experts = 5, .k = 5},
                                  .block = published::jetmoe,
                                  .options = {.k = 5},
                                  .equal = {0.2, 0.2, 0.2, 0.2, 0.2}});
  }
