// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/scalar_or_batch.hpp>

#include "support/catch.hpp"

#include <array>
#include <cmath>
#include <limits>

namespace {

template <class T>
std::array<T, xsimd::batch<T>::size> lanes_of(const xsimd::batch<T>& v) {
  std::array<T, xsimd::batch<T>::size> lanes;
  v.store_unaligned(lanes.data());
  return lanes;
}

}  // namespace

TEMPLATE_TEST_CASE("number fills every lane and rounds once", "[activations][scalar_or_batch]", float, double) {
  CHECK(headgate::number<TestType>(0.1) == static_cast<TestType>(0.1));
  for (const TestType lane : lanes_of(headgate::number<xsimd::batch<TestType>>(0.1)))
    CHECK(lane == static_cast<TestType>(0.1));
}

TEMPLATE_TEST_CASE("choose decides lane by lane", "[activations][scalar_or_batch]", float, double) {
  using batch = xsimd::batch<TestType>;
  std::array<TestType, batch::size> x;
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<TestType>(i % 2);
  const batch v = batch::load_unaligned(x.data());
  const auto chosen = lanes_of(headgate::choose(v > batch(TestType(0)), batch(TestType(5)), batch(TestType(7))));
  for (std::size_t i = 0; i < x.size(); ++i) {
    CHECK(chosen[i] == (i % 2 == 1 ? TestType(5) : TestType(7)));
    CHECK(headgate::choose(x[i] > TestType(0), TestType(5), TestType(7)) == chosen[i]);
  }
}

TEMPLATE_TEST_CASE("a factor of 0 beats an infinite one, and NaN beats both", "[activations][scalar_or_batch]", float,
                   double) {
  const TestType infinity = std::numeric_limits<TestType>::infinity();
  const TestType nan = std::numeric_limits<TestType>::quiet_NaN();
  CHECK(headgate::fading_product(-infinity, TestType(0)) == 0);
  CHECK(headgate::fading_product(infinity, TestType(2)) == infinity);
  CHECK(headgate::fading_product(TestType(3), TestType(2)) == 6);
  CHECK(std::isnan(headgate::fading_product(nan, nan)));
  CHECK(headgate::fading_fma(infinity, TestType(0), TestType(4)) == 4);
  CHECK(headgate::fading_fma(TestType(3), TestType(2), TestType(4)) == 10);
  CHECK(std::isnan(headgate::fading_fma(nan, nan, TestType(1))));
}

TEMPLATE_TEST_CASE("horner sums from the lowest power", "[activations][scalar_or_batch]", float, double) {
  CHECK(headgate::horner({1, 2, 3}, TestType(10)) == TestType(321));
  for (const TestType lane : lanes_of(headgate::horner({1, 2, 3}, xsimd::batch<TestType>(TestType(10)))))
    CHECK(lane == TestType(321));
}
