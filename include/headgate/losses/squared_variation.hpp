// SPDX-License-Identifier: BSD-3-Clause
// The squared coefficient of variation, which the importance and the load loss share (Shazeer et al. 2017,
// arXiv:1701.06538, eq. 7 and 11).
#pragma once

#include <headgate/config.hpp>

#include <cmath>
#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Which variance: the mean of the squared deviations (the authors' TensorFlow code, V-MoE), or their sum over n - 1
/// (the PyTorch ports of that code, hence T2MIR and GNT-MOVE). All on one of n values gives n - 1 and n.
enum class variance_of { population, sample };

/// CV(v)^2 = var(v) / mean(v)^2 of v (n); dv (n) becomes its gradient.
///
///   CV^2 = mean((u - 1)^2),   dv = 2 (u - 1 - CV^2) / (n mean(v)),   u = v / mean(v)
///
/// and both n / (n - 1) times as large with the variance of a sample.
/// No epsilon: the value does not depend on the scale of v. 0, with no gradient, where the mean is 0 (below `smallest` in
/// magnitude, so that dv does not overflow) or n is 1.
template <class T>
T squared_variation(const T* v, T* dv, index n, variance_of variance, T smallest = (std::numeric_limits<T>::min)()) {
  double sum = 0;
  for (index i = 0; i < n; ++i) sum += static_cast<double>(v[i]);
  const T mean = static_cast<T>(sum / static_cast<double>(n));
  if (n == 1 || std::abs(mean) < smallest) {
    for (index i = 0; i < n; ++i) dv[i] = T{0};
    return T{0};
  }
  double squares = 0;
  for (index i = 0; i < n; ++i) {
    const T u = v[i] / mean - T{1};
    squares += static_cast<double>(u * u);
  }
  const T population = static_cast<T>(squares / static_cast<double>(n));
  const T scale = variance == variance_of::population ? T{1} : static_cast<T>(n) / static_cast<T>(n - 1);
  for (index i = 0; i < n; ++i) dv[i] = scale * T{2} / static_cast<T>(n) * (v[i] / mean - T{1} - population) / mean;
  return scale * population;
}

namespace detail {

/// For sums of T taken in double.
template <class T>
inline constexpr double smallest_mean = static_cast<double>((std::numeric_limits<T>::min)());

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
