// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/squared_variation.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <vector>

namespace hg = headgate;
using hg::squared_variation;
using hg::variance_of;

namespace {

template <class T>
T value(const std::vector<T>& v, variance_of which) {
  std::vector<T> dv(v.size());
  return squared_variation(v.data(), dv.data(), static_cast<hg::index>(v.size()), which);
}

}  // namespace

TEST_CASE("equal values do not vary", "[losses][squared_variation]") {
  CHECK(value<double>({3, 3, 3, 3}, variance_of::population) == 0);
  CHECK(value<double>({3, 3, 3, 3}, variance_of::sample) == 0);
}

TEST_CASE("all on one of n values gives n - 1, and n for a sample", "[losses][squared_variation]") {
  for (const std::size_t n : {2u, 3u, 8u, 64u}) {
    std::vector<double> v(n, 0.0);
    v[n / 2] = 5;
    CHECK(value(v, variance_of::population) == Approx(n - 1).epsilon(1e-14));
    CHECK(value(v, variance_of::sample) == Approx(n).epsilon(1e-14));
  }
}

TEST_CASE("squared_variation has the golden values", "[losses][squared_variation]") {
  CHECK(value<double>({.7, 1.2, .4, .7}, variance_of::population) == Approx(0.14666666666666664).epsilon(1e-14));
  CHECK(value<double>({.7, 1.2, .4, .7}, variance_of::sample) == Approx(0.19555555555555554).epsilon(1e-14));
}

TEST_CASE("the gradient of squared_variation agrees with differences", "[losses][squared_variation]") {
  for (const auto which : {variance_of::population, variance_of::sample}) {
    std::vector<double> v = {.7, 1.2, .4, .9, 2.1}, dv(5);
    squared_variation(v.data(), dv.data(), 5, which);
    for (std::size_t i = 0; i < v.size(); ++i) {
      const double there = v[i], step = 1e-5;
      v[i] = there + step;
      const double above = value(v, which);
      v[i] = there - step;
      const double below = value(v, which);
      v[i] = there;
      CHECK(dv[i] == Approx((above - below) / (2 * step)).epsilon(1e-6));
    }
  }
}

TEST_CASE("squared_variation does not depend on the scale of the values", "[losses][squared_variation]") {
  // Squares of these would leave the range of float.
  for (const float scale : {1e-30f, 1e30f})
    CHECK(static_cast<double>(value<float>({scale, 2 * scale, 3 * scale}, variance_of::population)) ==
          Approx(2.0 / 12).epsilon(1e-6));
}

TEST_CASE("a mean of zero and a single value have no variation and no gradient", "[losses][squared_variation]") {
  for (const std::vector<double>& v : {std::vector<double>{0, 0, 0}, {1, -1}, {4}, {1e-310, 2e-310}}) {
    std::vector<double> dv(v.size(), 9.0);
    for (const auto which : {variance_of::population, variance_of::sample}) {
      CHECK(squared_variation(v.data(), dv.data(), static_cast<hg::index>(v.size()), which) == 0);
      for (const double slope : dv) CHECK(slope == 0);
    }
  }
}
