// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/hunyuan.hpp>

#include "support/catch.hpp"
#include "support/family_edges.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

TEST_CASE("Hunyuan: the block computes what its rule says", "[models][hunyuan]") {
  compare_with_oracle<hg::hunyuan>({.model = 6, .hidden = 4, .experts = 8, .k = 3, .shared_hidden = 5},
                                   published::hunyuan, {.k = 3}, 1);
}

TEST_CASE("Hunyuan: a single expert keeps its probability", "[models][hunyuan]") {
  compare_with_oracle<hg::hunyuan>({.model = 6, .hidden = 4, .experts = 5, .k = 1, .shared_hidden = 5},
                                   published::hunyuan, {.k = 1}, 2);
}

TEST_CASE("Hunyuan: a block that drops tokens takes first choices first, in inference too", "[models][hunyuan]") {
  // 12 tokens: 3 * 12 / 8 = 4 for each expert, rounded down; 40 tokens: 15; one token: k.
  compare_with_oracle<hg::hunyuan>({.model = 6, .hidden = 4, .experts = 8, .k = 3, .shared_hidden = 5, .drops = true},
                                   published::hunyuan, {.k = 3, .drops = true}, 3);
  // 12 tokens: 2 * 12 / 7 = 3.4, rounded down
  compare_with_oracle<hg::hunyuan>({.model = 6, .hidden = 4, .experts = 7, .k = 2, .shared_hidden = 5, .drops = true},
                                   published::hunyuan, {.k = 2, .drops = true}, 4);
}

TEST_CASE("Hunyuan: the edges of routing", "[models][hunyuan][edges]") {
  check_edges<hg::hunyuan>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 3, .shared_hidden = 3},
                            .block = published::hunyuan,
                            .options = {.k = 3},
                            .equal = {1.0 / 3, 1.0 / 3, 1.0 / 3}});
  check_edges<hg::hunyuan>({.shape = {.model = 8, .hidden = 5, .experts = 8, .k = 1, .shared_hidden = 3},
                            .block = published::hunyuan,
                            .options = {.k = 1},
                            .equal = {0.125}});
  check_all_chosen<hg::hunyuan>({.shape = {.model = 8, .hidden = 5, .experts = 1, .k = 1, .shared_hidden = 3},
                                 .block = published::hunyuan,
                                 .options = {.k = 1},
                                 .equal = {1}});
  check_all_chosen<hg::hunyuan>({.shape = {.model = 8, .hidden = 5, .experts = 5, .k = 5, .shared_hidden = 3},
                                 .block = published::hunyuan,
                                 .options = {.k = 5},
                                 .equal = {0.2, 0.2, 0.2, 0.2, 0.2}});
}
