// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/gpt_oss.hpp>

#include "support/catch.hpp"
#include "support/conformance.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

namespace {

const conformance_of<hg::gpt_oss> conforms("gpt_oss", [](const auto& s, const auto& p, const auto& f) {
  hg::gpt_oss::tensors(s, p, f);  // in memory as on disk
});

}  // namespace

TEST_CASE("gpt-oss layers agree with a transcription in plain loops", "[models][gpt_oss]") {
  compare_with_oracle<hg::gpt_oss>({.model = 6, .hidden = 5, .experts = 8, .k = 4, .limit = 1}, published::gpt_oss,
                                   {.k = 4, .limit = 1}, 1);
  TEST_CASE("gpt-oss: the edges of routing", "[models][gpt_oss][edges]") {
    check_edges<hg::gpt_oss>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3},
                              .block = published::gpt_oss,
                              .options = {.k = 3},
                              .equal = {1.0 / 3, 1.0 / 3, 1.0 / 3}});
    check_all_chosen<hg::gpt_oss>({.shape = {.model = 8, .hidden = 5, .experts = 1, .k = 1},
                                   .block = published::gpt_oss,
                                   .options = {.k = 1},
                                   .equal = {1}});
    check_all_chosen<hg::gpt_oss>({.shape = {.model = 8, .hidden = 5, .experts = 5, .k = 5},
                                   .block = published::gpt_oss,
                                   .options = {.k = 5},
                                   .equal = {0.2, 0.2, 0.2, 0.2, 0.2}});
  }
