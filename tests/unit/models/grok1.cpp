// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/grok1.hpp>

#include "support/catch.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

TEST_CASE("Grok-1: the block computes what its rule says", "[models][grok1]") {
  compare_with_oracle<hg::grok1>({.model = 6, .hidden = 5, .experts = 8, .k = 2}, published::grok1, {.k = 2}, 1);
  compare_with_oracle<hg::grok1>({.model = 5, .hidden = 9, .experts = 4, .k = 4}, published::grok1, {.k = 4}, 2);
  compare_with_oracle<hg::grok1>({.model = 5, .hidden = 4, .experts = 1, .k = 1}, published::grok1, {.k = 1}, 3);
}

TEST_CASE("Grok-1: the edges of routing", "[models][grok1][edges]") {
  check_edges<hg::grok1>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3},
                          .block = published::grok1,
                          .options = {.k = 3},
                          .equal = {0.125, 0.125, 0.125}});
  check_all_chosen<hg::grok1>({.shape = {.model = 8, .hidden = 5, .experts = 1, .k = 1},
                               .block = published::grok1,
                               .options = {.k = 1},
                               .equal = {1}});
  check_all_chosen<hg::grok1>({.shape = {.model = 8, .hidden = 5, .experts = 5, .k = 5},
                               .block = published::grok1,
                               .options = {.k = 5},
                               .equal = {0.2, 0.2, 0.2, 0.2, 0.2}});
}
