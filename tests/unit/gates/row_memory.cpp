// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/row_memory.hpp>

#include "support/catch.hpp"

namespace hg = headgate;

TEST_CASE("a block has one row at least, however many experts", "[gates][row_memory]") {
  CHECK(hg::detail::rows_of(2048, 8) == 256);
  CHECK(hg::detail::rows_of(2048, 300) == 6);
  CHECK(hg::detail::rows_of(2048, 100000) == 1);
}

TEST_CASE("with_constant hands every count on", "[gates][row_memory]") {
  for (hg::index count = 0; count < 20; ++count)
    CHECK(hg::detail::with_constant(count, [](auto constant) { return hg::index{constant}; }) == count);
}

TEST_CASE("the memory of a worker remembers its first refused token until it is reset", "[gates][row_memory]") {
  hg::detail::row_memory<float> memory;
  memory.reset(4, 6);
  CHECK(memory.ids.size() == 10);
  CHECK(memory.refused == -1);
  memory.refuse_token(7);
  memory.refuse_token(3);
  memory.refuse_token(5);
  CHECK(memory.refused == 3);
  memory.named_by[2] = 9;
  memory.reset(4, 0);
  CHECK(memory.refused == -1);
  CHECK(memory.named_by[2] == -1);
}
