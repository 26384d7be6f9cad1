// SPDX-License-Identifier: BSD-3-Clause
// Softmax of rows in plain loops: what kernels/softmax.hpp must compute.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace reference {

/// p_j = exp(z_j - m) / sum_i exp(z_i - m) with m = max_i z_i, which keeps every exponential at most 1. Zeros where all z are
/// -inf.
template <class T>
void softmax_row(const T* z, T* p, index n) {
  if (n == 0) return;
  const T largest = *std::max_element(z, z + n);
  if (largest == -std::numeric_limits<T>::infinity()) {
    std::fill_n(p, n, T{0});
    return;
  }
  T sum = 0;
  for (index j = 0; j < n; ++j) {
    p[j] = std::exp(z[j] - largest);
    sum += p[j];
  }
  for (index j = 0; j < n; ++j) p[j] /= sum;
}

/// p_j = exp(z_j / temperature) / sum_i exp(z_i / temperature).
template <class T>
void softmax_row_at(const T* z, T temperature, T* p, index n) {
  if (n == 0) return;
  const T largest = (std::max)(*std::max_element(z, z + n), std::numeric_limits<T>::lowest());
  for (index j = 0; j < n; ++j) p[j] = (z[j] - largest) / temperature;
  softmax_row(static_cast<const T*>(p), p, n);
}

template <class T>
void softmax_rows(read_view<T> z, view<T> p) {
  for (index r = 0; r < p.rows; ++r) softmax_row(z.row(r), p.row(r), p.cols);
}

/// dz_j += sum_i dp_i dp_i/dz_j, where dp_i/dz_j = p_i (1 - p_j) if i = j and -p_i p_j otherwise. Together:
/// p_j (dp_j - sum_i dp_i p_i). Times `scale` where p = softmax(scale * z).
template <class T>
void softmax_backward_row(const T* p, const T* dp, T* dz, index n, T scale = T{1}) {
  T mean = 0;
  for (index i = 0; i < n; ++i) mean += dp[i] * p[i];
  for (index j = 0; j < n; ++j) dz[j] += scale * p[j] * (dp[j] - mean);
}

template <class T>
void softmax_backward_rows(read_view<T> p, read_view<T> dp, view<T> dz) {
  for (index r = 0; r < dz.rows; ++r) softmax_backward_row(p.row(r), dp.row(r), dz.row(r), dz.cols);
}

/// log sum_j exp(z_j) = m + log sum_j exp(z_j - m); an infinite m is not subtracted, because inf - inf is no number.
template <class T>
[[nodiscard]] T log_sum_exp_row(const T* z, index n) {
  if (n == 0) return -std::numeric_limits<T>::infinity();
  const T largest = *std::max_element(z, z + n);
  const T shift = std::isfinite(largest) ? largest : T{0};
  T sum = 0;
  for (index j = 0; j < n; ++j) sum += std::exp(z[j] - shift);
  return shift + std::log(sum);
}

}  // namespace reference
}  // namespace HEADGATE_ABI
}  // namespace headgate
