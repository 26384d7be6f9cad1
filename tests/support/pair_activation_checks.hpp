// SPDX-License-Identifier: BSD-3-Clause
// What every activation of two projections must hold, checked at one place.
#pragma once

#include "support/activation_checks.hpp"

namespace headgate_test {

/// Numbers for each projection: around zero, around the limit, and far beyond it.
template <class T>
std::vector<T> pair_grid(double limit) {
  std::vector<T> x;
  for (const double v : {0.0, 1e-30, 0.013, 0.4, 0.97, 1.9, 3.3, 6.1})
    for (const double sign : {1.0, -1.0}) x.push_back(static_cast<T>(sign * v));
  const T bound = static_cast<T>(limit);
  for (const T v : {bound, std::nextafter(bound, T(0)), std::nextafter(bound, 2 * bound), 2 * bound, T(90), T(1e4)})
    for (const T sign : {T(1), T(-1)}) x.push_back(sign * v);
  return x;
}

/// Both derivatives against five-point differences in double, to 1e-6 relative, where no stencil crosses the limit.
template <class A>
void check_pair_gradient(const A& act, double limit) {
  const double h = 1e-3;
  const auto slope = [&](const auto& f, double x) {
    return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h);
  };
  const auto near = [&](double x) { return std::abs(std::abs(x) - limit) < 3 * h; };
  for (double gate = -11.97; gate < 12; gate += 0.3)
    for (double up = -9.97; up < 10; up += 0.7) {
      if (near(gate) || near(up)) continue;
      INFO("gate = " << gate << ", up = " << up);
      const auto d = act.gradient(gate, up);
      const double by_gate = slope([&](double x) { return act.value(x, up); }, gate);
      const double by_up = slope([&](double x) { return act.value(gate, x); }, up);
      CHECK(std::abs(d.gate - by_gate) <= 1e-6 * std::abs(by_gate) + 2e-10);
      CHECK(std::abs(d.up - by_up) <= 1e-6 * std::abs(by_up) + 2e-10);
    }
}

/// A lane has the bits of the number alone, wherever it stands and whatever its neighbours.
template <class T, class A>
void check_pair_lanes_of(const A& act, double limit) {
  using batch = xsimd::batch<T>;
  using bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const auto same = [](T a, T b) { return std::bit_cast<bits>(a) == std::bit_cast<bits>(b); };
  const auto grid = pair_grid<T>(limit);
  for (const T gate : grid)
    for (const T up : grid) {
      const T value = act.value(gate, up);
      const auto d = act.gradient(gate, up);
      for (std::size_t lane = 0; lane < batch::size; ++lane) {
        std::array<T, batch::size> gates, ups, values, by_gate, by_up;
        gates.fill(std::numeric_limits<T>::quiet_NaN()), ups.fill(T(-1e4));
        gates[lane] = gate, ups[lane] = up;
        const batch g = batch::load_unaligned(gates.data()), u = batch::load_unaligned(ups.data());
        act.value(g, u).store_unaligned(values.data());
        act.gradient(g, u).gate.store_unaligned(by_gate.data());
        act.gradient(g, u).up.store_unaligned(by_up.data());
        if (!same(values[lane], value) || !same(by_gate[lane], d.gate) || !same(by_up[lane], d.up))
          FAIL_CHECK("gate = " << gate << ", up = " << up << " in lane " << lane << ": " << values[lane] << " and "
                               << value);
      }
    }
}

template <class A>
void check_pair_lanes(const A& act, double limit) {
  check_pair_lanes_of<float>(act, limit);
  check_pair_lanes_of<double>(act, limit);
}

/// Values against f, which computes in more digits, in float and double: to so many epsilons of the larger of |f| and 0.1.
template <class T, class A, class F>
void check_pair_values_of(const A& act, double limit, const F& f, double epsilons) {
  for (const T gate : pair_grid<T>(limit))
    for (const T up : pair_grid<T>(limit)) {
      INFO("gate = " << gate << ", up = " << up);
      CHECK(ulps(act.value(gate, up), f(real(gate), real(up)), real(0.1L)) <= epsilons);
    }
}

template <class A, class F>
void check_pair_values(const A& act, double limit, const F& f, double epsilons) {
  check_pair_values_of<float>(act, limit, f, epsilons);
  check_pair_values_of<double>(act, limit, f, epsilons);
}

}  // namespace headgate_test
