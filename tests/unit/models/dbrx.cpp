// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/dbrx.hpp>

#include "support/catch.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

TEST_CASE("DBRX: the block computes what its rule says", "[models][dbrx]") {
  compare_with_oracle<hg::dbrx>({.model = 6, .hidden = 5, .experts = 8, .k = 4}, published::dbrx, {.k = 4}, 1);
  compare_with_oracle<hg::dbrx>({.model = 7, .hidden = 3, .experts = 5, .k = 1}, published::dbrx, {.k = 1}, 2);
}

TEST_CASE("DBRX: weights are divided by their L_p norm, or not at all", "[models][dbrx]") {
  compare_with_oracle<hg::dbrx>({.model = 6, .hidden = 5, .experts = 8, .k = 3, .norm = 2}, published::dbrx,
                                {.k = 3, .norm = 2}, 3);
  compare_with_oracle<hg::dbrx>({.model = 6, .hidden = 5, .experts = 8, .k = 3, .norm = 0}, published::dbrx,
                                {.k = 3, .norm = 0}, 4);
}

TEST_CASE("DBRX: the edges of routing", "[models][dbrx][edges]") {
  check_edges<hg::dbrx>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3},
                         .block = published::dbrx,
                         .options = {.k = 3},
                         .equal = {1.0 / 3, 1.0 / 3, 1.0 / 3}});
  check_edges<hg::dbrx>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 4, .norm = 2},
                         .block = published::dbrx,
                         .options = {.k = 4, .norm = 2},
                         .equal = {0.5, 0.5, 0.5, 0.5}});
  check_edges<hg::dbrx>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3, .norm = 0},
                         .block = published::dbrx,
                         .options = {.k = 3, .norm = 0},
                         .equal = {0.125, 0.125, 0.125}});
  check_all_chosen<hg::dbrx>({.shape = {.model = 8, .hidden = 5, .experts = 1, .k = 1},
                              .block = published::dbrx,
                              .options = {.k = 1},
                              .equal = {1}});
  check_all_chosen<hg::dbrx>({.shape = {.model = 8, .hidden = 5, .experts = 5, .k = 5},
                              .block = published::dbrx,
                              .options = {.k = 5},
                              .equal = {0.2, 0.2, 0.2, 0.2, 0.2}});
}
