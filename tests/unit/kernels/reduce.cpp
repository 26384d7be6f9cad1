// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/reduce.hpp>
#include <headgate/reference/reduce.hpp>

#include <algorithm>
#include <array>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

TEMPLATE_TEST_CASE("sum_row and dot_row of whole numbers are exact for every length", "[kernels][reduce]", float,
                   double) {
  for (hg::index n = 0; n <= longest_row<TestType>; ++n) {
    guarded<TestType> x(1, n);
    TestType next = 1;
    x.fill([&] { return next++; });
    const auto m = static_cast<TestType>(n);
    CHECK(k::sum_row(x.row(), n) == m * (m + 1) / 2);
    CHECK(k::dot_row(x.row(), x.row(), n) == m * (m + 1) * (2 * m + 1) / 6);
  }
}

TEMPLATE_TEST_CASE("sum_row and dot_row agree with the plain loops", "[kernels][reduce]", float, double) {
  numbers next(1);
  for (hg::index n = 0; n <= 200; ++n) {
    guarded<TestType> x(1, n), y(1, n);
    x.fill([&] { return next.within(TestType{1}); });
    y.fill([&] { return next.within(TestType{1}); });
    const TestType tolerance = static_cast<TestType>(n) * epsilon<TestType>;
    CHECK(std::abs(k::sum_row(x.row(), n) - hg::reference::sum_row(x.row(), n)) <= tolerance);
    CHECK(std::abs(k::dot_row(x.row(), y.row(), n) - hg::reference::dot_row(x.row(), y.row(), n)) <= tolerance);
  }
}

TEMPLATE_TEST_CASE("max_row finds the largest element in every place", "[kernels][reduce]", float, double) {
  for (hg::index n = 1; n <= longest_row<TestType>; ++n)
    for (hg::index place = 0; place < n; ++place) {
      guarded<TestType> x(1, n);
      x.fill([] { return TestType{-5}; });
      x(0, place) = TestType{-4};
      REQUIRE(k::max_row(x.row(), n) == TestType{-4});
    }
}

TEMPLATE_TEST_CASE("max_row of nothing, and of minus infinities, is minus infinity", "[kernels][reduce]", float,
                   double) {
  for (hg::index n = 0; n <= longest_row<TestType>; ++n) {
    guarded<TestType> x(1, n);
    x.fill([] { return -infinity<TestType>; });
    CHECK(k::max_row(x.row(), n) == -infinity<TestType>);
    CHECK(hg::reference::max_row(x.row(), n) == -infinity<TestType>);
  }
}

TEMPLATE_TEST_CASE("reductions give the same bits at any alignment", "[kernels][reduce]", float, double) {
  numbers next(2);
  for (hg::index n = 0; n <= longest_row<TestType>; ++n) {
    guarded<TestType> x(1, n);
    x.fill([&] { return next.within(TestType{1}); });
    const TestType sum = k::sum_row(x.row(), n);
    const TestType dot = k::dot_row(x.row(), x.row(), n);
    for (hg::index offset = 1; offset < width<TestType>; ++offset) {
      guarded<TestType> moved(1, n, offset);
      moved.copy(x.view());
      REQUIRE(same_bits(k::sum_row(moved.row(), n), sum));
      REQUIRE(same_bits(k::dot_row(moved.row(), x.row(), n), dot));
    }
  }
}

TEMPLATE_TEST_CASE("sum_in_all_lanes and max_in_all_lanes give every lane the same bits", "[kernels][reduce]", float,
                   double) {
  using batch = xsimd::batch<TestType>;
  numbers next(3);
  for (int repeat = 0; repeat < 100; ++repeat) {
    std::array<TestType, batch::size> lane;
    for (TestType& value : lane) value = next.within(TestType{1});
    const batch values = batch::load_unaligned(lane.data());
    const batch sum = k::sum_in_all_lanes(values), largest = k::max_in_all_lanes(values);
    for (std::size_t i = 0; i < lane.size(); ++i) {
      REQUIRE(same_bits(sum.get(i), k::sum_of_lanes(values)));
      REQUIRE(largest.get(i) == *std::max_element(lane.begin(), lane.end()));
    }
  }
}
