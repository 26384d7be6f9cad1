// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/array.hpp>

#include "support/catch.hpp"

#include <span>

#include <memory>
#include <type_traits>

namespace hg = headgate;

TEST_CASE("an array counts with signed numbers", "[core][array]") {
  hg::array<int> a(3, 7);
  STATIC_REQUIRE(std::is_same_v<decltype(a.size()), hg::index>);
  CHECK(a.size() == 3);
  const hg::index last = a.size() - 1;
  a[last] = 9;
  CHECK(a[0] == 7);
  CHECK(a.back() == 9);
  CHECK(hg::array<double>(2)[1] == 0.0);
  CHECK(hg::array<int>().empty());
}

TEST_CASE("an array keeps its memory when it shrinks", "[core][array]") {
  hg::array<int> a;
  a.reserve(100);
  const int* const memory = a.data();
  a.resize(100);
  a.clear();
  CHECK(a.empty());
  a.assign(40, 5);
  for (int i = 0; i < 60; ++i) a.push_back(i);
  CHECK(a.size() == 100);
  CHECK(a[39] == 5);
  CHECK(a[40] == 0);
  CHECK(a.data() == memory);
}

TEST_CASE("an array is a range and a span", "[core][array]") {
  hg::array<int> a(4);
  int next = 1;
  for (int& item : a) item = next++;
  const hg::array<int>& fixed = a;
  int sum = 0;
  for (const int item : fixed) sum += item;
  CHECK(sum == 10);
  const std::span<const int> span = fixed;
  CHECK(span.size() == 4);
  CHECK(span.data() == fixed.data());
  CHECK(fixed.back() == 4);
}

TEST_CASE("an array moves what cannot be copied", "[core][array]") {
  hg::array<std::unique_ptr<int>> a;
  a.push_back(std::make_unique<int>(3));
  CHECK(*a[0] == 3);
}

TEST_CASE("an array gives new numbers the value zero, unless it is told that they are overwritten", "[core][array]") {
  hg::array<int> a;
  a.resize_for_overwrite(50);
  for (int& item : a) item = 7;
  a.clear();
  a.resize_for_overwrite(50);
  CHECK(a.size() == 50);
  a.clear();
  a.resize(50);
  for (const int item : a) CHECK(item == 0);
  struct with_default {
    int number = 3;
  };
  hg::array<with_default> b;
  b.resize_for_overwrite(2);
  CHECK(b[1].number == 3);
}
