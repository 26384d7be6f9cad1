// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/routing/groups.hpp>

#include "support/catch.hpp"

namespace hg = headgate;

TEST_CASE("row_groups cut slots by expert and look up their rows", "[routing][groups]") {
  const hg::index offsets[] = {0, 2, 2, 5};
  const hg::index rows[] = {4, 0, 1, 1, 3};
  float memory[5 * 3] = {};
  const hg::view<float> slots(memory, 5, 2, 3);
  const hg::row_groups g{3, offsets, rows};
  CHECK(g.slots() == 5);
  CHECK(g.size(0) == 2);
  CHECK(g.size(1) == 0);
  CHECK(g.rows_of(2) == rows + 2);
  CHECK(g.slice(slots, 2).data == memory + 2 * 3);
  CHECK(g.slice(slots, 2).rows == 3);
  CHECK(g.slice(slots, 1).rows == 0);
  CHECK(g.source(slots, 2).data == memory);  // through rows_of
}

TEST_CASE("row_groups without a list read their own rows", "[routing][groups]") {
  const hg::index offsets[] = {0, 2, 5};
  float memory[5 * 3] = {};
  const hg::view<float> x(memory, 5, 3);
  const hg::row_groups g{2, offsets};
  CHECK(g.rows_of(1) == nullptr);
  CHECK(g.source(x, 1).data == memory + 2 * 3);
  CHECK(g.source(x, 1).rows == 3);
}
