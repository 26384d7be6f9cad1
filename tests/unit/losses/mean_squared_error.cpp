// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/mean_squared_error.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <vector>

namespace hg = headgate;
using headgate_test::contains;

TEST_CASE("mean_squared_error is a mean over all elements", "[losses][mean_squared_error]") {
  hg::matrix<double> y(2, 2), target(2, 2);
  y << 1, 2, 3, 4;
  target << 1, 0, 3, 1;
  const auto [loss, dy] = hg::mean_squared_error<double>(y, target);
  CHECK(loss == 13.0 / 4);
  hg::matrix<double> expected(2, 2);
  expected << 0, 1, 0, 1.5;
  CHECK(dy == expected);
}

TEST_CASE("the gradient of mean_squared_error agrees with differences", "[losses][mean_squared_error]") {
  hg::matrix<double> y(3, 5), target(3, 5);
  for (hg::index i = 0; i < y.size(); ++i) {
    y.data()[i] = std::sin(static_cast<double>(i));
    target.data()[i] = std::cos(static_cast<double>(3 * i));
  }
  const auto dy = hg::mean_squared_error<double>(y, target).gradient;
  for (hg::index i = 0; i < y.size(); ++i) {
    const double there = y.data()[i], step = 1e-5;
    y.data()[i] = there + step;
    const double above = hg::mean_squared_error<double>(y, target).value;
    y.data()[i] = there - step;
    const double below = hg::mean_squared_error<double>(y, target).value;
    y.data()[i] = there;
    CHECK(dy.data()[i] == Approx((above - below) / (2 * step)).epsilon(1e-6));
  }
}

TEST_CASE("mean_squared_error reads and writes maps and blocks in place", "[losses][mean_squared_error]") {
  std::vector<float> memory = {1, 2, 3, 4, 5, 6};
  const Eigen::Map<const hg::matrix<float>> y(memory.data(), 2, 3);
  const hg::matrix<float> target = hg::matrix<float>::Zero(4, 3);
  hg::matrix<float> all = hg::matrix<float>::Constant(4, 3, 9.0f);
  auto block = all.middleRows(1, 2);
  CHECK(hg::mean_squared_error<float>(y, target.topRows(2), block) == Approx(91.0 / 6));
  CHECK(all(0, 0) == 9);
  CHECK(all(1, 0) == Approx(2 * 1.0 / 6));
  CHECK(all(2, 2) == Approx(2 * 6.0 / 6));
  CHECK(all(3, 0) == 9);
}

TEST_CASE("mean_squared_error keeps the memory of its gradient, which may be the output",
          "[losses][mean_squared_error]") {
  hg::matrix<float> y = hg::matrix<float>::Constant(2, 2, 3.0f), dy(2, 2);
  const hg::matrix<float> target = hg::matrix<float>::Zero(2, 2);
  const float* memory = dy.data();
  CHECK(hg::mean_squared_error<float>(y, target, dy) == 9);
  CHECK(dy.data() == memory);
  CHECK(hg::mean_squared_error<float>(y, target, y) == 9);
  CHECK(y == dy);
}

TEST_CASE("mean_squared_error of nothing is zero", "[losses][mean_squared_error]") {
  const hg::matrix<float> none(0, 5);
  const auto [loss, dy] = hg::mean_squared_error<float>(none, none);
  CHECK(loss == 0);
  CHECK(dy.rows() == 0);
  CHECK(dy.cols() == 5);
}

TEST_CASE("mean_squared_error refuses shapes that differ with both", "[losses][mean_squared_error]") {
  hg::matrix<float> y(2, 3), target(2, 4);
  CHECK_THROWS_WITH(hg::mean_squared_error<float>(y, target),
                    headgate_test::contains("y is 2 x 3, the target is 2 x 4"));
  hg::matrix<float> all(4, 3);
  auto block = all.topRows(1);
  CHECK_THROWS_WITH(hg::mean_squared_error<float>(y, y, block),
                    headgate_test::contains("dy is 1 x 3, it must be 2 x 3"));
}

TEST_CASE("mean_squared_error refuses a gradient that overlaps what it reads without being it",
          "[losses][mean_squared_error]") {
  hg::matrix<double> tall = hg::matrix<double>::Ones(4, 3);
  const hg::matrix<double> apart = hg::matrix<double>::Zero(2, 3);
  CHECK_THROWS_WITH(hg::mean_squared_error<double>(tall.topRows(2), apart, tall), contains("y and dy share memory"));
  CHECK_THROWS_WITH(hg::mean_squared_error<double>(apart, tall.topRows(2), tall),
                    contains("the target and dy share memory"));
  CHECK(tall == hg::matrix<double>::Ones(4, 3));
}
