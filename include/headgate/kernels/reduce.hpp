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

/// Folds the lanes pairwise, upper half onto lower half, in every lane: an order that no version of xsimd can change. A
/// fold that does not care which of two is the first leaves the same bits in all lanes.
template <index Half, class T, class Arch, class Fold>
HEADGATE_ALWAYS_INLINE xsimd::batch<T, Arch> fold_lanes(const xsimd::batch<T, Arch>& values, const Fold& fold) {
  if constexpr (Half == 0)
    return values;
  else
    return fold_lanes<Half / 2>(fold(values, exchange_lanes<Half>(values)), fold);
}

}  // namespace detail

/// The sum of the lanes, in every lane.
template <class T, class Arch>
[[nodiscard]] HEADGATE_ALWAYS_INLINE xsimd::batch<T, Arch> sum_in_all_lanes(const xsimd::batch<T, Arch>& values) {
  return detail::fold_lanes<vector_width<T, Arch> / 2>(values, [](const auto& a, const auto& b) { return a + b; });
}
template <class T, class Arch>
[[nodiscard]] T sum_of_lanes(const xsimd::batch<T, Arch>& values) {
  return sum_in_all_lanes(values).get(0);
}

/// The largest lane, in every lane; NaN or some lane if a lane is NaN.
template <class T, class Arch>
[[nodiscard]] HEADGATE_ALWAYS_INLINE xsimd::batch<T, Arch> max_in_all_lanes(const xsimd::batch<T, Arch>& values) {
  return detail::fold_lanes<vector_width<T, Arch> / 2>(values,
                                                       [](const auto& a, const auto& b) { return (xsimd::max)(a, b); });
}
template <class T, class Arch>
[[nodiscard]] T max_of_lanes(const xsimd::batch<T, Arch>& values) {
  return max_in_all_lanes(values).get(0);
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

/// The largest element, in every lane; -inf for n = 0. A row with a NaN gives NaN or one of its elements.
template <class Arch = xsimd::default_arch, class T>
[[nodiscard]] HEADGATE_ALWAYS_INLINE xsimd::batch<T, Arch> max_row_in_all_lanes(const T* x, index n) {
  constexpr T lowest = -std::numeric_limits<T>::infinity();
  xsimd::batch<T, Arch> largest(lowest);
  for_each_vector<T, Arch>(n, [&](auto lanes) { largest = (xsimd::max)(largest, lanes.load(x, lowest)); });
  return max_in_all_lanes(largest);
}
template <class Arch = xsimd::default_arch, class T>
[[nodiscard]] T max_row(const T* x, index n) {
  return max_row_in_all_lanes<Arch>(x, n).get(0);
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
