// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/llama4.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::llama4> conforms("llama4_text", [](const auto& s, const auto& p, const auto& f) {
  hg::llama4::tensors(s, p, f);  // in memory as on disk
});

}  // namespace

TEST_CASE("Llama 4 layers agree with a transcription in plain loops", "[models][llama4]") {
  compare_with_oracle<hg::llama4>({.model = 6, .hidden = 5, .experts = 8, .k = 1}, published::llama4, {.k = 1}, 1);
  compare_with_oracle<hg::llama4>({.model = 6, .hidden = 5, .experts = 8, .k = 2}, published::llama4, {.k = 2}, 2);
  TEST_CASE("Llama 4: the edges of routing", "[models][llama4][edges]") {
    check_edges<hg::llama4>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 1},
                             .block = published::llama4,
                             .options = {.k = 1},
                             .equal = {0.5},
                             .at_bottom = {0}});
    check_all_chosen<hg::llama4>({.shape = {.model = 8, .hidden = 5, .experts = 1, .k = 1},
                                  .block = published::llama4,
                                  .options = {.k = 1},
                                  .equal = {0.5},
                                  .at_bottom = {0}});
    check_all_chosen<hg::llama4>({.shape = {.model = 8, .hidden = 5, .experts = 5, .k = 5},
                                  .block = published::llama4,
                                  .options = {.k = 5},
                                  .equal = {0.5, 0.5, 0.5, 0.5, 0.5},
                                  .at_bottom = {0, 0, 0, 0, 0}});
  }
