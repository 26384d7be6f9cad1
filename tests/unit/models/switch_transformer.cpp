// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/switch_transformer.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::switch_transformer> conforms("switch_transformers", [](const auto& s, const auto& p,
                                                                                const auto& f) {
  hg::switch_transformer::tensors(s, p, f);  // in memory as on disk
});

}  // namespace

TEST_CASE("Switch layers agree with a transcription in plain loops", "[models][switch_transformer]") {
  compare_with_oracle<hg::switch_transformer>({.model = 6, .hidden = 5, .experts = 4, .capacity = 3},
                                              published::switch_transformer, {.k = 1, .capacity = 3}, 1);
  compare_with_oracle<hg::switch_transformer>({.model = 6, .hidden = 5, .experts = 4, .capacity = 0},
                                              published::switch_transformer, {.k = 1, .capacity = 0}, 2);
  TEST_CASE("Switch: the edges of routing", "[models][switch_transformer][edges]") {
    check_edges<hg::switch_transformer>({.shape = {.model = 8, .hidden = 5, .experts = 8, .capacity = 0},
                                         .block = published::switch_transformer,
                                         .options = {.k = 1},
                                         .equal = {1.0 / 8}});
    check_all_chosen<hg::switch_transformer>({.shape = {.model = 8, .hidden = 5, .experts = 1, .capacity = 0},
                                              .block = published::switch_transformer,
                                              .options = {.k = 1},
                                              .equal = {1}});
  }
