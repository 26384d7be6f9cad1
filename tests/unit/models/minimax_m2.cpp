// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/minimax_m2.hpp>

#include "support/catch.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

TEST_CASE("MiniMax-M2: the block computes what its rule says", "[models][minimax_m2]") {
  compare_with_oracle<hg::minimax_m2>({.model = 6, .hidden = 4, .experts = 12, .k = 4}, published::minimax_m2, {.k = 4},
                                      1);
  compare_with_oracle<hg::minimax_m2>({.model = 7, .hidden = 5, .experts = 5, .k = 1}, published::minimax_m2, {.k = 1},
                                      2);
}
