// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/finite.hpp>
#include <headgate/reference/finite.hpp>

#include <limits>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

TEMPLATE_TEST_CASE("first_not_finite finds NaN and infinity in every place", "[kernels][finite]", float, double) {
  for (hg::index n = 1; n <= longest_row<TestType>; ++n)
    for (hg::index offset = 0; offset < width<TestType>; ++offset)
      for (hg::index place = 0; place < n; ++place)
        for (const TestType bad :
             {not_a_number<TestType>, -not_a_number<TestType>, infinity<TestType>, -infinity<TestType>}) {
          guarded<TestType> x(1, n, offset);
          x.fill([] { return TestType{1}; });
          x(0, place) = bad;
          REQUIRE(k::first_not_finite(x.view()) == place);
        }
}

TEMPLATE_TEST_CASE("first_not_finite takes the largest, the smallest and denormal numbers for finite",
                   "[kernels][finite]", float, double) {
  using limits = std::numeric_limits<TestType>;
  for (hg::index n = 0; n <= longest_row<TestType>; ++n)
    for (const TestType good :
         {(limits::max)(), limits::lowest(), (limits::min)(), limits::denorm_min(), TestType{0}, -TestType{0}}) {
      guarded<TestType> x(1, n);
      x.fill([&] { return good; });
      REQUIRE(k::first_not_finite(x.view()) == -1);
    }
}

TEST_CASE("first_not_finite counts in reading order and does not read between the rows", "[kernels][finite]") {
  float memory[3 * 20];
  std::fill(std::begin(memory), std::end(memory), infinity<float>);
  const hg::view<float> x(memory, 3, 11, 20);
  for (hg::index r = 0; r < 3; ++r) std::fill_n(x.row(r), 11, 0.0f);
  CHECK(k::first_not_finite(x) == -1);
  x(2, 3) = not_a_number<float>;
  CHECK(k::first_not_finite(x) == 2 * 11 + 3);
  x(1, 10) = infinity<float>;
  CHECK(k::first_not_finite(x) == 1 * 11 + 10);
  CHECK(k::first_not_finite(hg::view<const float>(x)) == 1 * 11 + 10);
  CHECK(k::first_not_finite(hg::view<float>(memory, 0, 11, 20)) == -1);
  CHECK(k::first_not_finite(hg::view<float>(memory, 3, 0, 20)) == -1);
}

TEMPLATE_TEST_CASE("first_not_finite agrees with the plain loops", "[kernels][finite]", float, double) {
  numbers next(1);
  for (int repeat = 0; repeat < 2000; ++repeat) {
    const hg::index rows = next.below(5), cols = next.below(longest_row<TestType> + 1);
    guarded<TestType> x(rows, cols, next.below(4), next.below(3));
    x.fill([&] { return next.below(40) == 0 ? next.template awkward<TestType>() : next.within(TestType{1}); });
    REQUIRE(k::first_not_finite(x.view()) == hg::reference::first_not_finite(x.view()));
  }
}

TEMPLATE_TEST_CASE("is_finite knows the two kinds of number that are not", "[kernels][finite]", float, double) {
  CHECK(k::is_finite((std::numeric_limits<TestType>::max)()));
  CHECK(k::is_finite(denormal<TestType>));
  CHECK_FALSE(k::is_finite(infinity<TestType>));
  CHECK_FALSE(k::is_finite(not_a_number<TestType>));
}

TEMPLATE_TEST_CASE("first_nan_or_plus_infinity_in_row passes minus infinity over", "[kernels][finite]", float, double) {
  for (hg::index n = 0; n <= longest_row<TestType>; ++n) {
    guarded<TestType> x(1, n);
    for (const TestType good : {TestType{1}, -infinity<TestType>}) {
      x.fill([&] { return good; });
      REQUIRE(k::first_nan_or_plus_infinity_in_row(x.row(), n) == -1);
      for (hg::index place = 0; place < n; ++place)
        for (const TestType bad : {not_a_number<TestType>, -not_a_number<TestType>, infinity<TestType>}) {
          x.fill([&] { return good; });
          x(0, place) = bad;
          if (place > 0) x(0, place / 2) = -infinity<TestType>;
          if (place + 1 < n) x(0, n - 1) = bad;
          REQUIRE(k::first_nan_or_plus_infinity_in_row(x.row(), n) == place);
        }
    }
  }
  CHECK(k::is_minus_infinity(-infinity<TestType>));
  for (const TestType other : {infinity<TestType>, not_a_number<TestType>, std::numeric_limits<TestType>::lowest()})
    CHECK_FALSE(k::is_minus_infinity(other));
}
