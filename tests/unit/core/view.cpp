// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/view.hpp>

#include "support/catch.hpp"

#include <array>

namespace hg = headgate;

TEST_CASE("a view reads and writes somebody's rows", "[core][view]") {
  std::array<int, 12> memory{};
  const hg::view<int> v(memory.data(), 3, 2, 4);
  v(0, 0) = 1;
  v(1, 1) = 2;
  v.row(2)[0] = 3;
  CHECK(memory == std::array<int, 12>{1, 0, 0, 0, 0, 2, 0, 0, 3, 0, 0, 0});
  CHECK(v.row(1) == memory.data() + 4);
  CHECK(hg::view<int>(memory.data(), 3, 4).stride == 4);
}

TEST_CASE("a view of some rows keeps the stride", "[core][view]") {
  std::array<int, 12> memory{};
  const hg::view<int> middle = hg::view<int>(memory.data(), 3, 2, 4).middle_rows(1, 2);
  middle(1, 1) = 5;
  CHECK(memory[9] == 5);
  CHECK(middle.rows == 2);
  CHECK(middle.cols == 2);
}

TEST_CASE("a view becomes one that only reads, never the other way", "[core][view]") {
  int number = 4;
  const hg::view<const int> reader = hg::view<int>(&number, 1, 1);
  CHECK(reader(0, 0) == 4);
  STATIC_REQUIRE(std::is_convertible_v<hg::view<int>, hg::view<const int>>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<hg::view<const int>, hg::view<int>>);
  STATIC_REQUIRE(std::is_trivially_copyable_v<hg::view<int>>);
  CHECK(hg::view<int>().data == nullptr);
}
