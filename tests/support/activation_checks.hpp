// SPDX-License-Identifier: BSD-3-Clause
// What every activation must hold, checked at one place.
#pragma once

#include "support/catch.hpp"

#include <headgate/concepts/activation.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace headgate_test {

using real = long double;  // the precision of the references; where it is no wider than double, allow an ulp more

/// 1 / (1 + e^-x), exact at both ends.
inline real logistic(real x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

/// f at -3, -1, -0.5, 0, 0.5, 1, 3, to the eight decimals of the tables.
template <class A>
void check_values(const A& act, const std::array<double, 7>& expected) {
  const std::array<double, 7> at = {-3, -1, -0.5, 0, 0.5, 1, 3};
  for (std::size_t i = 0; i < at.size(); ++i) {
    INFO("x = " << at[i]);
    CHECK(std::abs(act.value(at[i]) - expected[i]) <= 0.5000001e-8);
  }
}

/// f' against five-point differences of f in double, to 1e-6 relative. No point of the grid is near an integer, so the
/// stencil crosses no kink at 0.
template <class A>
void check_derivative(const A& act) {
  const double h = 1e-3;
  for (double x = -11.97; x < 12; x += 0.0625) {
    const double difference =
        (8 * (act.value(x + h) - act.value(x - h)) - (act.value(x + 2 * h) - act.value(x - 2 * h))) / (12 * h);
    INFO("x = " << x);
    CHECK(std::abs(act.derivative(x) - difference) <= 1e-6 * std::abs(difference) + 2e-11);
  }
}

/// Small, large, subnormal and ordinary numbers of both signs, a whole number of vectors of them.
template <class T>
std::vector<T> activation_grid() {
  std::vector<T> x = {T(0), std::numeric_limits<T>::denorm_min(), std::numeric_limits<T>::min() / 2,
                      std::numeric_limits<T>::min(), T(1e4)};
  for (T v = T(1e-30); v < T(1e-2); v *= T(1.7)) x.push_back(v);
  for (T v = T(1e-2); v < T(20); v += T(0.0137)) x.push_back(v);
  for (T v = T(20); v < T(1e4); v *= T(1.03)) x.push_back(v);
  const std::size_t positive = x.size();
  for (std::size_t i = 0; i < positive; ++i) x.push_back(-x[i]);
  while (x.size() % xsimd::batch<T>::size != 0) x.push_back(T(1));
  return x;
}

/// How far `found` is from `exact` in ulp of the larger of |exact| and floor.
template <class T>
double ulps(T found, real exact, real floor) {
  const real unit = (std::max)({std::abs(exact), floor, real(std::numeric_limits<T>::min())});
  return static_cast<double>(std::abs(real(found) - exact) / (unit * real(std::numeric_limits<T>::epsilon())));
}

template <class T, class A, class F, class D>
void check_accuracy_of(const A& act, const F& f, const D& df, double value_ulps, double derivative_ulps) {
  using batch = xsimd::batch<T>;
  const auto grid = activation_grid<T>();
  for (std::size_t first = 0; first < grid.size(); first += batch::size) {
    const batch x = batch::load_unaligned(grid.data() + first);
    std::array<T, batch::size> value, derivative;
    act.value(x).store_unaligned(value.data());
    act.derivative(x).store_unaligned(derivative.data());
    for (std::size_t i = 0; i < batch::size; ++i) {
      const T at = grid[first + i];
      const real floor = (std::min)(std::abs(real(at)), real(0.1L));
      INFO("x = " << at << ", value " << act.value(at) << ", in a vector " << value[i]);
      CHECK(ulps(act.value(at), f(real(at)), floor) <= value_ulps);
      CHECK(ulps(value[i], f(real(at)), floor) <= value_ulps);
      INFO("derivative " << act.derivative(at) << ", in a vector " << derivative[i]);
      CHECK(ulps(act.derivative(at), df(real(at)), real(0.1L)) <= derivative_ulps);
      CHECK(ulps(derivative[i], df(real(at)), real(0.1L)) <= derivative_ulps);
    }
  }
}

/// Numbers and vectors, float and double, against the exact f and f' in ulp: of f, of 0.1 where f is smaller, of x
/// where x is smaller still.
template <class A, class F, class D>
void check_accuracy(const A& act, const F& f, const D& df, double value_ulps, double derivative_ulps) {
  check_accuracy_of<float>(act, f, df, value_ulps, derivative_ulps);
  check_accuracy_of<double>(act, f, df, value_ulps, derivative_ulps);
}

/// A lane's bits do not depend on where it stands, nor on its neighbours.
template <class T, class A>
void check_lanes_of(const A& act) {
  using batch = xsimd::batch<T>;
  using bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const T infinity = std::numeric_limits<T>::infinity();
  for (const T x : activation_grid<T>()) {
    std::array<T, 2> alone{};
    bool first = true;
    for (const T neighbour : {x, T(0), T(-0.3), T(3), T(-30), T(1e4), infinity, -infinity})
      for (std::size_t lane = 0; lane < batch::size; ++lane) {
        std::array<T, batch::size> v, value, derivative;
        v.fill(neighbour);
        v[lane] = x;
        act.value(batch::load_unaligned(v.data())).store_unaligned(value.data());
        act.derivative(batch::load_unaligned(v.data())).store_unaligned(derivative.data());
        if (first) alone = {value[lane], derivative[lane]};
        first = false;
        if (std::bit_cast<bits>(value[lane]) != std::bit_cast<bits>(alone[0]) ||
            std::bit_cast<bits>(derivative[lane]) != std::bit_cast<bits>(alone[1]))
          FAIL_CHECK("x = " << x << " in lane " << lane << " beside " << neighbour);
      }
  }
}

template <class A>
void check_lanes(const A& act) {
  check_lanes_of<float>(act);
  check_lanes_of<double>(act);
}

/// f and f' at minus and plus infinity.
struct ends {
  double value_left, value_right, derivative_left, derivative_right;
};

template <class T, class A>
void check_ends_of(const A& act, const ends& expected) {
  using batch = xsimd::batch<T>;
  const T infinity = std::numeric_limits<T>::infinity();
  const auto lane = [](const batch& v) {
    std::array<T, batch::size> all;
    v.store_unaligned(all.data());
    return all[batch::size - 1];
  };
  const auto check = [&](T x, double value, double derivative) {
    INFO("x = " << x);
    CHECK(act.value(x) == T(value));
    CHECK(lane(act.value(batch(x))) == T(value));
    CHECK(act.derivative(x) == T(derivative));
    CHECK(lane(act.derivative(batch(x))) == T(derivative));
  };
  check(-infinity, expected.value_left, expected.derivative_left);
  check(infinity, expected.value_right, expected.derivative_right);
  for (const T size : {T(90), T(710), T(1e4), T(1e19), T(1e30), std::numeric_limits<T>::max()})
    for (const T x : {size, -size}) {
      INFO("x = " << x);
      CHECK(!std::isnan(act.value(x)));
      CHECK(!std::isnan(lane(act.value(batch(x)))));
      CHECK(!std::isnan(act.derivative(x)));
      CHECK(!std::isnan(lane(act.derivative(batch(x)))));
    }
  const T nan = std::numeric_limits<T>::quiet_NaN();
  CHECK(std::isnan(act.value(nan)));
  CHECK(std::isnan(lane(act.value(batch(nan)))));
}

/// The limits at both ends, no NaN on the way there, and NaN for NaN.
template <class A>
void check_ends(const A& act, const ends& expected) {
  check_ends_of<float>(act, expected);
  check_ends_of<double>(act, expected);
}

}  // namespace headgate_test
