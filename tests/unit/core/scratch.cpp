// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/scratch.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <utility>

namespace hg = headgate;

namespace {

bool aligned(const void* memory) { return reinterpret_cast<std::uintptr_t>(memory) % hg::alignment == 0; }

}  // namespace

TEST_CASE("scratch grows to the largest size asked for and then stays", "[core][scratch]") {
  hg::scratch<float> s;
  CHECK(s.data() == nullptr);
  s.resize(10, 20);
  const float* const memory = s.data();
  CHECK(aligned(memory));
  for (const hg::index rows : {5, 0, 10, 1}) {
    s.resize(rows, 20);
    CHECK(s.data() == memory);
    CHECK(s.rows() == rows);
    CHECK(s.size() == rows * 20);
  }
  s.resize(200, 1);
  CHECK(s.data() == memory);
  s.resize(1000, 1000);
  CHECK(aligned(s.data()));
  s(999, 999) = 1;
}

TEST_CASE("zero clears all of the asked size", "[core][scratch]") {
  hg::scratch<double> s;
  hg::view<double> v = s.resize(3, 4);
  for (hg::index i = 0; i < s.size(); ++i) s.data()[i] = 7;
  v = s.zero(4, 3);
  CHECK(v.rows == 4);
  CHECK(v.stride == 3);
  for (hg::index i = 0; i < s.size(); ++i) CHECK(s.data()[i] == 0);
  s.zero(0, 5);
  CHECK(s.cols() == 5);
}

TEST_CASE("scratch is read by element, row and view alike", "[core][scratch]") {
  hg::scratch<int> s;
  s.resize(2, 3);
  for (int i = 0; i < 6; ++i) s.data()[i] = i;
  const hg::scratch<int>& fixed = s;
  CHECK(fixed(1, 2) == 5);
  CHECK(fixed.row(1)[0] == 3);
  CHECK(fixed.block()(1, 1) == 4);
  s(0, 0) = 9;
  s.block()(0, 1) = 8;
  CHECK(fixed.block()(0, 0) == 9);
  CHECK(s.row(0)[1] == 8);
  STATIC_REQUIRE(std::is_same_v<decltype(fixed.block()), hg::view<const int>>);
}

TEST_CASE("a copy of scratch is another block with the same numbers", "[core][scratch]") {
  hg::scratch<int> s;
  s.zero(2, 3);
  s(1, 1) = 4;
  hg::scratch<int> copy = s;
  copy(0, 0) = 1;
  CHECK(copy(1, 1) == 4);
  CHECK(copy.rows() == 2);
  CHECK(copy.cols() == 3);
  CHECK(s(0, 0) == 0);
  CHECK(aligned(copy.data()));
  s = copy;
  CHECK(s(0, 0) == 1);
  CHECK(s.data() != copy.data());
  const hg::scratch<int>& same = s;
  s = same;
  CHECK(s(1, 1) == 4);
  hg::scratch<int> empty;
  s = empty;
  CHECK(s.size() == 0);
}

TEST_CASE("moved scratch takes its memory along and leaves nothing", "[core][scratch]") {
  hg::scratch<int> s;
  s.zero(2, 3);
  const int* const memory = s.data();
  hg::scratch<int> taken = std::move(s);
  CHECK(taken.data() == memory);
  CHECK(s.size() == 0);  // NOLINT(bugprone-use-after-move): the moved-from state is what is tested
  CHECK(s.data() == nullptr);
  s.zero(1, 1);
  CHECK(s(0, 0) == 0);
}
