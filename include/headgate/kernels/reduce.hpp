// SPDX-License-Identifier: BSD-3-Clause
// Reductions of a row to one number, in one order of operations for each length.
#pragma once

#include <headgate/config.hpp>
#include <headgate/kernels/lanes.hpp>

#include <xsimd/xsimd.hpp>

#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

namespace detail {

/// Folds the lanes pairwise, upper half onto lower half: an order that no version of xsimd can change.
template <class T, class Arch, class Fold>
T fold_lanes(const xsimd::batch<T, Arch>& values, Fold fold) {
  alignas(64) T lane[xsimd::batch<T, Arch>::size];
  values.store_aligned(lane);
  for (index half = vector_width<T, Arch> / 2; half > 0; half /= 2)
    for (index i = 0; i < half; ++i) lane[i] = fold(lane[i], lane[i + half]);
  return lane[0];
}

}  // namespace detail

template <class T, class Arch>
[[nodiscard]] T sum_of_lanes(const xsimd::batch<T, Arch>& values) {
  return detail::fold_lanes(values, [](T a, T b) { return a + b; });
}

/// Some lane if a lane is NaN.
template <class T, class Arch>
[[nodiscard]] T max_of_lanes(const xsimd::batch<T, Arch>& values) {
  return detail::fold_lanes(values, [](T a, T b) { return a < b ? b : a; });
}

/// x_0 + ... + x_{n-1}; zero for n = 0.
template <class Arch = xsimd::default_arch, class T>
[[nodiscard]] T sum_row(const T* x, index n) {
  xsimd::batch<T, Arch> sum(T{0});
  for_each_vector<T, Arch>(n, [&](auto lanes) { sum += lanes.load(x); });
  return sum_of_lanes(sum);
}

/// x_0 y_0 + ... + x_{n-1} y_{n-1}; zero for n = 0.
template <class Arch = xsimd::default_arch, class T>
[[nodiscard]] T dot_row(const T* x, const T* y, index n) {
  xsimd::batch<T, Arch> sum(T{0});
  for_each_vector<T, Arch>(n, [&](auto lanes) { sum = xsimd::fma(lanes.load(x), lanes.load(y), sum); });
  return sum_of_lanes(sum);
}

/// The largest element; -inf for n = 0. A row with a NaN gives NaN or one of its elements.
template <class Arch = xsimd::default_arch, class T>
[[nodiscard]] T max_row(const T* x, index n) {
  constexpr T lowest = -std::numeric_limits<T>::infinity();
  xsimd::batch<T, Arch> largest(lowest);
  for_each_vector<T, Arch>(n, [&](auto lanes) { largest = (xsimd::max)(largest, lanes.load(x, lowest)); });
  return max_of_lanes(largest);
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
