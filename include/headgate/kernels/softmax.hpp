// SPDX-License-Identifier: BSD-3-Clause
// Softmax of rows, its pull-back, and the logarithm of the sum of exponentials.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>
#include <headgate/kernels/exp.hpp>
#include <headgate/kernels/lanes.hpp>
#include <headgate/kernels/reduce.hpp>

#include <xsimd/xsimd.hpp>

#include <cmath>
#include <limits>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// p_j = exp(z_j - m) / sum_i exp(z_i - m) with m = max_i z_i, for a row of n elements. p may be z.
///
/// An element of -inf gets the weight 0. A row without any finite element, and one with a NaN or +inf, becomes NaN.
/// Equal elements get equal weights, and n = 1 gives exactly 1. Weights below the smallest normal number may become 0.
template <class Arch = xsimd::default_arch, class T>
void softmax_row(const T* z, T* p, index n) {
  using batch = xsimd::batch<T, Arch>;
  const batch largest(max_row<Arch>(z, n));
  batch sums(T{0});
  for_each_vector<T, Arch>(n, [&](auto lanes) {
    const batch e = exp_bounded(lanes.load(z, -std::numeric_limits<T>::infinity()) - largest);
    sums += e;
    lanes.store(p, e);
  });
  // Dividing rounds once, multiplying by a reciprocal twice; it costs 3 % of the time, and equal elements get the
  // number nearest to 1/n.
  const batch sum(sum_of_lanes(sums));
  for_each_vector<T, Arch>(n, [&](auto lanes) { lanes.store(p, lanes.load(p) / sum); });
}

/// softmax_row of z / temperature, for a temperature > 0. p may be z. The maximum is taken away before the division, so
/// that the smallest temperatures give one-hot rows and the largest uniform ones, not inf - inf.
template <class Arch = xsimd::default_arch, class T>
void softmax_row_at(const T* z, std::type_identity_t<T> temperature, T* p, index n) {
  using batch = xsimd::batch<T, Arch>;
  const batch largest(max_row<Arch>(z, n));
  const batch divisor(temperature);
  for_each_vector<T, Arch>(n, [&](auto lanes) { lanes.store(p, (lanes.load(z) - largest) / divisor); });
  softmax_row<Arch>(static_cast<const T*>(p), p, n);
}

/// Softmax of each row of z (rows x cols) into p (rows x cols). p may be z.
template <class Arch = xsimd::default_arch, class T>
void softmax_rows(read_view<T> z, view<T> p) {
  for (index r = 0; r < p.rows; ++r) softmax_row<Arch>(z.row(r), p.row(r), p.cols);
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
