// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/minimax_m2.hpp>

#include "support/catch.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

TEST_CASE("MiniMax-M2: the block computes what its rule says", "[models][minimax_m2]") {
  compare_with_oracle<hg::minimax_m2>({.model = 6, .hidden = 4, .experts = 12, .k = 4}, published::minimax_m2, {.k = 4},
                                      1);
  compare_with_oracle<hg::minimax_m2>({.model = 7, .hidden = 5, .experts = 5, .k = 1}, published::minimax_m2, {.k = 1},
                                      2);
}

TEST_CASE("MiniMax-M2: the edges of routing", "[models][minimax_m2][edges]") {
  check_edges<hg::minimax_m2>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3},
                               .block = published::minimax_m2,
                               .options = {.k = 3},
                               .equal = {1.0 / 3, 1.0 / 3, 1.0 / 3},
                               .at_bottom = {0, 0, 0}});
  check_all_chosen<hg::minimax_m2>({.shape = {.model = 8, .hidden = 5, .experts = 1, .k = 1},
                                    .block = published::minimax_m2,
                                    .options = {.k = 1},
                                    .equal = {1},
                                    .at_bottom = {0}});
  check_all_chosen<hg::minimax_m2>({.shape = {.model = 8, .hidden = 5, .experts = 5, .k = 5},
                                    .block = published::minimax_m2,
                                    .options = {.k = 5},
                                    .equal = {0.2, 0.2, 0.2, 0.2, 0.2},
                                    .at_bottom = {0, 0, 0, 0, 0}});
}
