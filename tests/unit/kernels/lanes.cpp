// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/lanes.hpp>

#include <array>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

TEMPLATE_TEST_CASE("for_each_vector shows every element of a row once and in order", "[kernels][lanes]", float,
                   double) {
  for (hg::index n = 0; n <= longest_row<TestType>; ++n) {
    guarded<TestType> x(1, n);
    TestType next = 1;
    x.fill([&] { return next++; });
    std::vector<TestType> seen;
    k::for_each_vector<TestType, xsimd::default_arch>(n, [&](auto lanes) {
      alignas(64) TestType lane[xsimd::batch<TestType>::size];
      lanes.load(x.row(), TestType{-1}).store_aligned(lane);
      for (const TestType value : lane)
        if (value > 0) seen.push_back(value);
    });
    REQUIRE(seen.size() == static_cast<std::size_t>(n));
    for (hg::index i = 0; i < n; ++i) REQUIRE(seen[static_cast<std::size_t>(i)] == static_cast<TestType>(i + 1));
  }
}

TEMPLATE_TEST_CASE("for_each_vector pads only the last vector of a row, with the given number", "[kernels][lanes]",
                   float, double) {
  for (hg::index n = 0; n <= longest_row<TestType>; ++n) {
    guarded<TestType> x(1, n);
    x.fill([] { return TestType{1}; });
    TestType sum = 0;
    k::for_each_vector<TestType, xsimd::default_arch>(n, [&](auto lanes) {
      alignas(64) TestType lane[xsimd::batch<TestType>::size];
      lanes.load(x.row(), TestType{1000}).store_aligned(lane);
      for (const TestType value : lane) sum += value;
    });
    const hg::index padded = (width<TestType> - n % width<TestType>) % width<TestType>;
    REQUIRE(sum == static_cast<TestType>(n + 1000 * padded));
  }
}

TEMPLATE_TEST_CASE("for_each_vector stores to the row alone, at any alignment and in place", "[kernels][lanes]", float,
                   double) {
  for (hg::index n = 0; n <= longest_row<TestType>; ++n)
    for (hg::index offset = 0; offset < width<TestType>; ++offset) {
      guarded<TestType> x(1, n, offset);
      TestType next = 0;
      x.fill([&] { return next++; });
      k::for_each_vector<TestType, xsimd::default_arch>(
          n, [&](auto lanes) { lanes.store(x.row(), lanes.load(x.row()) + TestType{10}); });
      bool right = true;
      for (hg::index i = 0; i < n; ++i) right = right && x(0, i) == static_cast<TestType>(i + 10);
      REQUIRE(right);
      REQUIRE(x.guards_are_intact());
    }
}

TEMPLATE_TEST_CASE("exchange_lanes swaps each lane with the one whose number differs in one bit", "[kernels][lanes]",
                   float, double) {
  using batch = xsimd::batch<TestType>;
  std::array<TestType, batch::size> lane, other;
  for (std::size_t i = 0; i < lane.size(); ++i) lane[i] = static_cast<TestType>(i + 1);
  const auto check = [&](auto distance) {
    if constexpr (decltype(distance)::value < width<TestType>) {
      k::exchange_lanes<decltype(distance)::value>(batch::load_unaligned(lane.data())).store_unaligned(other.data());
      for (std::size_t i = 0; i < lane.size(); ++i)
        CHECK(other[i] == lane[i ^ static_cast<std::size_t>(decltype(distance)::value)]);
    }
  };
  check(std::integral_constant<hg::index, 1>{});
  check(std::integral_constant<hg::index, 2>{});
  check(std::integral_constant<hg::index, 4>{});
  check(std::integral_constant<hg::index, 8>{});
}

TEMPLATE_TEST_CASE("a quotient is rounded once, as that of two numbers", "[kernels][lanes]", float, double) {
  using batch = xsimd::batch<TestType>;
  const auto right = [](TestType a, TestType b) { return same_bits(k::quotient(batch(a), batch(b)).get(0), a / b); };
  for (const TestType a : {TestType{1}, TestType(2.7), denormal<TestType>, (std::numeric_limits<TestType>::max)()}) {
    for (const TestType b : {denormal<TestType>, infinity<TestType>, not_a_number<TestType>}) CHECK(right(a, b));
    int wrong = 0;
    for (int b = 1; b < 1000; ++b) wrong += !right(a, static_cast<TestType>(b));
    CHECK(wrong == 0);
  }
}
