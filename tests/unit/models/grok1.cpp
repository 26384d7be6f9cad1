// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/grok1.hpp>

#include "support/catch.hpp"
#include "support/oracle_checks.hpp"

using namespace headgate_test;

TEST_CASE("Grok-1: the block computes what its rule says", "[models][grok1]") {
  compare_with_oracle<hg::grok1>({.model = 6, .hidden = 5, .experts = 8, .k = 2}, published::grok1, {.k = 2}, 1);
  compare_with_oracle<hg::grok1>({.model = 5, .hidden = 9, .experts = 4, .k = 4}, published::grok1, {.k = 4}, 2);
  compare_with_oracle<hg::grok1>({.model = 5, .hidden = 4, .experts = 1, .k = 1}, published::grok1, {.k = 1}, 3);
}
