// SPDX-License-Identifier: BSD-3-Clause
// Combine weights: the selected scores over their L_p norm (DBRX's `moe_normalize_expert_weights`).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/gates/weigh/renormalised.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// w = s / |s|_p over the selected, |s|_p = (sum |s_i|^p)^(1/p), or max |s_i| for p = infinity. A norm of zero leaves w at
/// zero, without a gradient.
///
/// Where the norm has a corner the gradient is that of PyTorch: 0 for |s_i| at s_i = 0, and equal shares for several
/// s_i of the largest magnitude.
template <std::floating_point T>
struct norm_divided {
  T p = T{1};

  void check(gate_shape) const {
    if (!(p >= T{1})) refuse("norm_divided: p is ", p, ", it must be at least 1");
  }

  void forward(const T* s, index n, T* w) const {
    const T length = norm(s, n);
    for (index i = 0; i < n; ++i) w[i] = length == T{0} ? T{0} : s[i] / length;
  }

  /// ds_i += (dw_i - <dw, w> d|s|_p / ds_i) / |s|_p,   d|s|_p / ds_i = sign(w_i) |w_i|^(p - 1)
  void backward(const T* s, const T* w, index n, const T* dw, T* ds) const {
    const T length = norm(s, n);
    if (!(length >= (std::numeric_limits<T>::min)())) return;
    const T most = largest(s, n);
    index longest = 0;
    T mean{0};
    for (index i = 0; i < n; ++i) {
      mean += dw[i] * w[i];
      longest += std::abs(s[i]) == most;
    }
    for (index i = 0; i < n; ++i) {
      T slope{0};
      if (p == infinity)
        slope = std::abs(s[i]) == most ? T{1} / static_cast<T>(longest) : T{0};
      else if (s[i] != T{0})
        slope = p == T{1} ? T{1} : std::pow(std::abs(w[i]), p - T{1});
      ds[i] += detail::finite_quotient(dw[i] - mean * std::copysign(slope, s[i]), length);
    }
  }

 private:
  static constexpr T infinity = std::numeric_limits<T>::infinity();

  static T largest(const T* s, index n) {
    T most{0};
    for (index i = 0; i < n; ++i) most = (std::max)(most, std::abs(s[i]));
    return most;
  }

  [[nodiscard]] T norm(const T* s, index n) const {
    T sum{0};
    if (p == T{1}) {
      for (index i = 0; i < n; ++i) sum += std::abs(s[i]);
      return sum;
    }
    const T most = largest(s, n);
    if (p == infinity || most == T{0}) return most;
    // Over the largest, so that no power overflows and not all become zero.
    for (index i = 0; i < n; ++i) sum += std::pow(std::abs(s[i]) / most, p);
    return most * std::pow(sum, T{1} / p);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
