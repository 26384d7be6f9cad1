// SPDX-License-Identifier: BSD-3-Clause
// Softmax of rows, its pull-back, and the logarithm of the sum of exponentials.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>
#include <headgate/kernels/exp.hpp>
#include <headgate/kernels/lanes.hpp>
#include <headgate/kernels/reduce.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

namespace detail {

// Dividing rounds once, multiplying by a reciprocal twice; it costs 3 % of the time, and equal elements get the number
// nearest to 1/n.

/// What is taken away from a row, and what it is divided by. Both are the largest element and the sum, except in a row of
/// -inf: there they are numbers that make it zeros. A sum is at least the largest element's own exponential, 1.
template <class V>
HEADGATE_ALWAYS_INLINE V finite_shift(const V& largest) {
  return (xsimd::max)(V(std::numeric_limits<typename V::value_type>::lowest()), largest);
}
template <class V>
HEADGATE_ALWAYS_INLINE V divisor_of(const V& sum) {
  return (xsimd::max)(V(typename V::value_type{1}), sum);  // the sum stands second, where max keeps a NaN
}

/// A row of one vector: the same operations without a way through memory, 4.1 ns a row, else 7.0.
template <class Arch, class T, class Lanes>
HEADGATE_ALWAYS_INLINE void softmax_vector(const T* z, T* p, const Lanes& lanes) {
  const auto own = lanes.load(z, -std::numeric_limits<T>::infinity());
  const auto e = exp_bounded(own - finite_shift(max_in_all_lanes(own)));
  lanes.store(p, quotient(e, divisor_of(sum_in_all_lanes(e))));
}

/// p_j = exp(z_j - largest); returns their sums lane by lane.
template <class Arch, class T>
HEADGATE_ALWAYS_INLINE xsimd::batch<T, Arch> exponentials(const T* z, const xsimd::batch<T, Arch>& largest, T* p,
                                                          index n) {
  xsimd::batch<T, Arch> sums(T{0});
  for_each_vector<T, Arch>(n, [&](auto lanes) {
    const auto e = exp_bounded(lanes.load(z, -std::numeric_limits<T>::infinity()) - largest);
    sums += e;
    lanes.store(p, e);
  });
  return sums;
}

template <class Arch, class T>
HEADGATE_ALWAYS_INLINE void divide(T* p, const xsimd::batch<T, Arch>& divisor, index n) {
  for_each_vector<T, Arch>(n, [&](auto lanes) { lanes.store(p, quotient(lanes.load(p), divisor)); });
}

/// Rows that go through each step together. A row's steps wait for each other's last operation; those of several rows
/// overlap. 64 experts: 24 ns a row alone, 18 so.
inline constexpr index rows_together = 4;

template <class Arch, class T>
void softmax_vectors(view<const T> z, view<T> p) {
  using batch = xsimd::batch<T, Arch>;
  batch of_row[rows_together];  // the largest element, then the sum
  const index rows = p.rows, n = p.cols;
  for (index r = 0; r < rows; ++r) of_row[r] = finite_shift(max_row_in_all_lanes<Arch>(z.row(r), n));
  for (index r = 0; r < rows; ++r) of_row[r] = exponentials<Arch>(z.row(r), of_row[r], p.row(r), n);
  for (index r = 0; r < rows; ++r) divide<Arch>(p.row(r), divisor_of(sum_in_all_lanes(of_row[r])), n);
}

}  // namespace detail

/// p_j = exp(z_j - m) / sum_i exp(z_i - m) with m = max_i z_i, for each row of z (rows x cols). p may be z.
///
/// An element of -inf gets the weight 0; a row of nothing else becomes zeros. A row with a NaN or +inf becomes NaN.
/// Equal elements get equal weights, and one column gives exactly 1. Weights below the smallest normal number may become 0.
template <class Arch = xsimd::default_arch, class T>
void softmax_rows(read_view<T> z, view<T> p) {
  constexpr index width = vector_width<T, Arch>;
  if (p.cols == width) {
    for (index r = 0; r < p.rows; ++r) detail::softmax_vector<Arch>(z.row(r), p.row(r), whole_vector<T, Arch>{0});
  } else if (p.cols < width) {
    const part_vector<T, Arch> part{0, p.cols};
    for (index r = 0; r < p.rows; ++r) detail::softmax_vector<Arch>(z.row(r), p.row(r), part);
  } else {
    for (index r = 0; r < p.rows; r += detail::rows_together) {
      const index rows = (std::min)(detail::rows_together, p.rows - r);
      detail::softmax_vectors<Arch>(z.middle_rows(r, rows), p.middle_rows(r, rows));
    }
  }
}

/// The same for one row of n elements.
template <class Arch = xsimd::default_arch, class T>
void softmax_row(const T* z, T* p, index n) {
  softmax_rows<Arch>(view<const T>(z, 1, n), view<T>(p, 1, n));
}

/// softmax_row of z / temperature, for a temperature > 0. p may be z. The maximum is taken away before the division, so
/// that the smallest temperatures give one-hot rows and the largest uniform ones, not inf - inf.
template <class Arch = xsimd::default_arch, class T>
void softmax_row_at(const T* z, std::type_identity_t<T> temperature, T* p, index n) {
  using batch = xsimd::batch<T, Arch>;
  const batch largest = detail::finite_shift(max_row_in_all_lanes<Arch>(z, n));
  const batch divisor(temperature);
  for_each_vector<T, Arch>(n, [&](auto lanes) { lanes.store(p, quotient(lanes.load(z) - largest, divisor)); });
  softmax_row<Arch>(static_cast<const T*>(p), p, n);
}

/// Adds to dz_j the gradient scale * p_j (dp_j - sum_i dp_i p_i), where p = softmax(scale * z) and dp = dL/dp.
template <class Arch = xsimd::default_arch, class T>
void softmax_backward_row(const T* p, const T* dp, T* dz, index n, std::type_identity_t<T> scale = T{1}) {
  using batch = xsimd::batch<T, Arch>;
  const batch mean(dot_row<Arch>(dp, p, n));
  const batch factor(scale);
  for_each_vector<T, Arch>(n, [&](auto lanes) {
    lanes.store(dz, xsimd::fma(factor * lanes.load(p), lanes.load(dp) - mean, lanes.load(dz)));
  });
}

/// The same for each row; all (rows x cols).
template <class Arch = xsimd::default_arch, class T>
void softmax_backward_rows(read_view<T> p, read_view<T> dp, view<T> dz) {
  for (index r = 0; r < dz.rows; ++r) softmax_backward_row<Arch>(p.row(r), dp.row(r), dz.row(r), dz.cols);
}

/// log sum_j exp(z_j), computed as m + log sum_j exp(z_j - m) with m = max_j z_j.
///
/// -inf if n = 0 or all elements are -inf; +inf if one is +inf and none NaN; NaN if one is NaN.
template <class Arch = xsimd::default_arch, class T>
[[nodiscard]] T log_sum_exp_row(const T* z, index n) {
  using batch = xsimd::batch<T, Arch>;
  constexpr T lowest = -std::numeric_limits<T>::infinity();
  const T largest = max_row<Arch>(z, n);
  // An infinite m would make inf - inf of its own element; 0 lets infinities go through exp and log unharmed.
  const T shift = largest - largest == T{0} ? largest : T{0};
  batch sums(T{0});
  for_each_vector<T, Arch>(n, [&](auto lanes) { sums += kernels::exp(lanes.load(z, lowest) - batch(shift)); });
  return shift + std::log(sum_of_lanes(sums));
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
