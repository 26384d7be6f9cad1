// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/softmax.hpp>
#include <headgate/reference/softmax.hpp>

#include <cmath>
#include <limits>
#include <utility>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

TEMPLATE_TEST_CASE("softmax of logarithms is their numbers divided by the sum", "[kernels][softmax]", float, double) {
  const TestType z[] = {0, std::log(TestType{2}), std::log(TestType{3})};
  TestType p[3];
  k::softmax_row(z, p, 3);
  CHECK(ulps(p[0], TestType{1} / 6) <= 2);
  CHECK(ulps(p[1], TestType{1} / 3) <= 2);
  CHECK(ulps(p[2], TestType{1} / 2) <= 2);
}

TEMPLATE_TEST_CASE("softmax agrees with the plain loops to a few units in the last place", "[kernels][softmax]", float,
                   double) {
  numbers next(1);
  for (hg::index n = 0; n <= longest_row<TestType>; ++n)
    for (const TestType range : {TestType(0.1), TestType{5}, TestType{60}, TestType{500}}) {
      guarded<TestType> z(3, n, 1, 2), p(3, n, 3, 1), expected(3, n);
      z.fill([&] { return next.within(range); });
      k::softmax_rows(z.view(), p.view());
      hg::reference::softmax_rows(z.view(), expected.view());
      const TestType smallest = (std::numeric_limits<TestType>::min)();
      for (hg::index r = 0; r < 3; ++r)
        for (hg::index j = 0; j < n; ++j) {
          if (expected(r, j) < smallest)
            REQUIRE(std::abs(p(r, j)) <= smallest);
          else
            REQUIRE(ulps(p(r, j), expected(r, j)) <= 6);
        }
      REQUIRE(p.guards_are_intact());
    }
}

TEMPLATE_TEST_CASE("softmax gives weights that sum to one", "[kernels][softmax]", float, double) {
  numbers next(2);
  for (hg::index n = 1; n <= 300; ++n) {
    guarded<TestType> z(1, n);
    z.fill([&] { return next.within(TestType{8}); });
    k::softmax_row(z.row(), z.row(), n);
    double sum = 0;
    for (hg::index j = 0; j < n; ++j) sum += static_cast<double>(z(0, j));
    REQUIRE(std::abs(sum - 1) <= 16 * static_cast<double>(epsilon<TestType>));
  }
}

TEMPLATE_TEST_CASE("softmax of one element is exactly one, and of equal elements their equal share",
                   "[kernels][softmax]", float, double) {
  for (hg::index n = 1; n <= longest_row<TestType>; ++n)
    for (const TestType value :
         {TestType{0}, TestType(-3.7), std::numeric_limits<TestType>::lowest(), denormal<TestType>}) {
      guarded<TestType> z(1, n);
      z.fill([&] { return value; });
      k::softmax_row(z.row(), z.row(), n);
      for (hg::index j = 0; j < n; ++j) REQUIRE(z(0, j) == TestType{1} / static_cast<TestType>(n));
    }
}

TEMPLATE_TEST_CASE("softmax does not overflow on huge elements and ignores those of minus infinity",
                   "[kernels][softmax]", float, double) {
  const TestType huge = (std::numeric_limits<TestType>::max)();
  for (hg::index n = 2; n <= longest_row<TestType>; ++n)
    for (hg::index place = 0; place < n; ++place) {
      guarded<TestType> z(1, n), p(1, n);
      for (const auto& [low, high] : {std::pair{-infinity<TestType>, TestType{2}}, std::pair{-huge, huge},
                                      std::pair{TestType{0}, huge}, std::pair{-infinity<TestType>, -huge}}) {
        z.fill([low = low] { return low; });
        z(0, place) = high;
        k::softmax_row(z.row(), p.row(), n);
        for (hg::index j = 0; j < n; ++j) REQUIRE(p(0, j) == TestType(j == place ? 1 : 0));
      }
    }
}

TEMPLATE_TEST_CASE("softmax of minus infinities is a row of zeros, at any temperature", "[kernels][softmax]", float,
                   double) {
  for (hg::index n = 1; n <= longest_row<TestType>; ++n) {
    guarded<TestType> z(5, n), p(5, n), expected(5, n);  // four rows go together
    z.fill([] { return -infinity<TestType>; });
    z(3, n / 2) = 1;
    k::softmax_rows(z.view(), p.view());
    hg::reference::softmax_rows(z.view(), expected.view());
    for (hg::index r = 0; r < 5; ++r)
      for (hg::index j = 0; j < n; ++j) {
        REQUIRE(p(r, j) == TestType(r == 3 && j == n / 2 ? 1 : 0));
        REQUIRE(p(r, j) == expected(r, j));
      }
    for (const TestType temperature : {TestType(1e-30), TestType{1}, TestType(1e30)}) {
      k::softmax_row_at(z.view().row(0), temperature, p.row(), n);
      for (hg::index j = 0; j < n; ++j) REQUIRE(p(0, j) == TestType{0});
    }
  }
}

TEMPLATE_TEST_CASE("softmax of a row that has no answer is NaN in every element", "[kernels][softmax]", float, double) {
  for (hg::index n = 1; n <= longest_row<TestType>; ++n) {
    guarded<TestType> z(1, n), p(1, n);
    const auto all_nan = [&] {
      k::softmax_row(z.row(), p.row(), n);
      bool all = true;
      for (hg::index j = 0; j < n; ++j) all = all && p(0, j) != p(0, j);
      return all;
    };
    for (hg::index place = 0; place < n; ++place)
      for (const TestType bad : {not_a_number<TestType>, infinity<TestType>}) {
        z.fill([] { return TestType{1}; });
        z(0, place) = bad;
        REQUIRE(all_nan());
      }
  }
}

TEMPLATE_TEST_CASE("a row's softmax has the same bits alone, in any batch and place, at any alignment, in place",
                   "[kernels][softmax]", float, double) {
  numbers next(3);
  for (hg::index n = 0; n <= longest_row<TestType>; ++n) {
    guarded<TestType> z(1, n), alone(1, n);
    z.fill([&] { return next.within(TestType{6}); });
    k::softmax_row(z.row(), alone.row(), n);
    for (hg::index offset = 0; offset < width<TestType>; ++offset) {
      const hg::index rows = 1 + next.below(5);
      const hg::index place = next.below(rows);
      guarded<TestType> batch(rows, n, offset, next.below(4)), out(rows, n, width<TestType> - offset, next.below(4));
      batch.fill([&] { return next.template awkward<TestType>(); });  // neighbours may be as bad as they like
      std::copy_n(z.row(), n, batch.row(place));
      k::softmax_rows(batch.view(), out.view());
      REQUIRE(same_bits(out.view().middle_rows(place, 1), alone.view()));
      k::softmax_rows(batch.view(), batch.view());
      REQUIRE(same_bits(batch.view().middle_rows(place, 1), alone.view()));
      REQUIRE(batch.guards_are_intact());
    }
  }
}

TEMPLATE_TEST_CASE("the pull-back of softmax adds to the gradient what the plain loops add", "[kernels][softmax]",
                   float, double) {
  numbers next(4);
  for (hg::index n = 0; n <= longest_row<TestType>; ++n) {
    guarded<TestType> p(2, n, 1, 1), dp(2, n, 2, 3), dz(2, n, 3), expected(2, n);
    p.fill([&] { return next.within(TestType{3}); });
    dp.fill([&] { return next.within(TestType{1}); });
    dz.fill([&] { return next.within(TestType{1}); });
    expected.copy(dz.view());
    k::softmax_rows(p.view(), p.view());
    k::softmax_backward_rows(p.view(), dp.view(), dz.view());
    hg::reference::softmax_backward_rows(p.view(), dp.view(), expected.view());
    for (hg::index r = 0; r < 2; ++r)
      for (hg::index j = 0; j < n; ++j) REQUIRE(std::abs(dz(r, j) - expected(r, j)) <= 4 * epsilon<TestType>);
    REQUIRE(dz.guards_are_intact());
  }
}

TEST_CASE("the pull-back of softmax is its derivative", "[kernels][softmax]") {
  numbers next(5);
  for (const hg::index n : {hg::index{1}, hg::index{2}, hg::index{5}, hg::index{8}, hg::index{19}}) {
    guarded<double> z(1, n), p(1, n), dp(1, n), dz(1, n);
    z.fill([&] { return next.within(2.0); });
    dp.fill([&] { return next.within(1.0); });
    dz.fill([] { return 0.0; });
    k::softmax_row(z.row(), p.row(), n);
    k::softmax_backward_row(p.row(), dp.row(), dz.row(), n);
    const double step = 1e-5;
    for (hg::index j = 0; j < n; ++j) {
      const auto loss_at = [&](double change) {
        guarded<double> moved(1, n);
        moved.copy(z.view());
        moved(0, j) += change;
        k::softmax_row(moved.row(), moved.row(), n);
        double loss = 0;
        for (hg::index i = 0; i < n; ++i) loss += moved(0, i) * dp(0, i);
        return loss;
      };
      CHECK(dz(0, j) == Approx((loss_at(step) - loss_at(-step)) / (2 * step)).margin(1e-9));
    }
  }
}

TEMPLATE_TEST_CASE("log_sum_exp_row of logarithms is the logarithm of their sum", "[kernels][softmax]", float, double) {
  const TestType z[] = {0, std::log(TestType{2}), std::log(TestType{3})};
  CHECK(ulps(k::log_sum_exp_row(z, 3), std::log(TestType{6})) <= 2);
  for (hg::index n = 1; n <= longest_row<TestType>; ++n) {
    guarded<TestType> equal(1, n);
    equal.fill([] { return TestType{1000}; });
    REQUIRE(ulps(k::log_sum_exp_row(equal.row(), n), TestType{1000} + std::log(static_cast<TestType>(n))) <= 1);
  }
}

TEMPLATE_TEST_CASE("log_sum_exp_row agrees with the plain loops and has the same bits at any alignment",
                   "[kernels][softmax]", float, double) {
  numbers next(6);
  for (hg::index n = 1; n <= longest_row<TestType>; ++n) {
    guarded<TestType> z(1, n);
    z.fill([&] { return next.within(TestType{9}); });
    const TestType value = k::log_sum_exp_row(z.row(), n);
    REQUIRE(std::abs(value - hg::reference::log_sum_exp_row(z.row(), n)) <= 16 * epsilon<TestType>);
    for (hg::index offset = 1; offset < width<TestType>; ++offset) {
      guarded<TestType> moved(1, n, offset);
      moved.copy(z.view());
      REQUIRE(same_bits(k::log_sum_exp_row(moved.row(), n), value));
    }
  }
}

TEMPLATE_TEST_CASE("log_sum_exp_row keeps infinities and NaN", "[kernels][softmax]", float, double) {
  for (hg::index n = 0; n <= longest_row<TestType>; ++n) {
    guarded<TestType> z(1, n);
    z.fill([] { return -infinity<TestType>; });
    REQUIRE(k::log_sum_exp_row(z.row(), n) == -infinity<TestType>);
    for (hg::index place = 0; place < n; ++place) {
      z(0, place) = TestType{-2};
      REQUIRE(k::log_sum_exp_row(z.row(), n) == TestType{-2});
      z(0, place) = infinity<TestType>;
      REQUIRE(k::log_sum_exp_row(z.row(), n) == infinity<TestType>);
      z(0, place) = not_a_number<TestType>;
      REQUIRE(std::isnan(k::log_sum_exp_row(z.row(), n)));
      z(0, place) = -infinity<TestType>;
    }
  }
}
