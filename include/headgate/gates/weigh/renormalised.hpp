// SPDX-License-Identifier: BSD-3-Clause
// Combine weights: the selected scores over their sum, in the three forms of published code.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/gates/stages.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {
template <class T>
void check_epsilon(const char* owner, T epsilon) {
  if (!(epsilon > T{0} && epsilon <= (std::numeric_limits<T>::max)()))
    refuse(owner, ": epsilon is ", epsilon, ", it must be greater than 0 and finite");
}

template <class T>
[[nodiscard]] T sum_of_selected(const T* s, index n) {
  T total{0};
  for (index i = 0; i < n; ++i) total += s[i];
  return total;
}

/// a / b, or the largest number of its sign where that overflows: a score of 1e-38 asks for a gradient of 1e38 and more,
/// which the score's own derivative makes small again, but not if it is infinite.
template <class T>
[[nodiscard]] T finite_quotient(T a, T b) {
  constexpr T most = (std::numeric_limits<T>::max)();
  return (std::min)((std::max)(a / b, -most), most);
}

/// ds_i += (dw_i - <dw, w>) / divisor: the pull-back of w = s / divisor where the divisor grows with each s as their sum
/// does. Nothing where the divisor is too small to divide by.
template <class T>
void add_gradient_of_share(const T* w, index n, const T* dw, T divisor, T* ds) {
  if (!(std::abs(divisor) >= (std::numeric_limits<T>::min)())) return;
  T mean{0};
  for (index i = 0; i < n; ++i) mean += dw[i] * w[i];
  for (index i = 0; i < n; ++i) ds[i] += finite_quotient(dw[i] - mean, divisor);
}
}  // namespace detail

/// w = s / sum(s) over the selected (Jiang et al. 2024, arXiv:2401.04088, section 2.1), without an epsilon. A sum of zero
/// leaves w at zero, without a gradient. After a softmax this equals `softmax_of_selected` on the logits, in value and in
/// gradient.
struct renormalised {
  template <class T>
  void forward(const T* s, index n, T* w) const {
    const T total = detail::sum_of_selected(s, n);
    for (index i = 0; i < n; ++i) w[i] = total == T{0} ? T{0} : s[i] / total;
  }
  /// ds_i += (dw_i - <dw, w>) / sum(s)
  template <class T>
  void backward(const T* s, const T* w, index n, const T* dw, T* ds) const {
    detail::add_gradient_of_share(w, n, dw, detail::sum_of_selected(s, n), ds);
  }
};

/// w = s / (sum(s) + epsilon) over the selected: 1e-20 in DeepSeek-V3's code in transformers, 1e-9 in mesh-tensorflow's
/// GShard.
template <std::floating_point T>
struct renormalised_plus {
  T epsilon = T(1e-20);

  void check(gate_shape) const { detail::check_epsilon("renormalised_plus", epsilon); }

  void forward(const T* s, index n, T* w) const {
    const T total = detail::sum_of_selected(s, n) + epsilon;
    for (index i = 0; i < n; ++i) w[i] = total == T{0} ? T{0} : s[i] / total;
  }
  /// ds_i += (dw_i - <dw, w>) / (sum(s) + epsilon)
  void backward(const T* s, const T* w, index n, const T* dw, T* ds) const {
    detail::add_gradient_of_share(w, n, dw, detail::sum_of_selected(s, n) + epsilon, ds);
  }
};

/// w = s / max(sum(s), epsilon) over the selected: the type's epsilon in Hunyuan's and DeepSpeed's code, `norm_min` in
/// ERNIE's.
template <std::floating_point T>
struct renormalised_at_least {
  T epsilon = std::numeric_limits<T>::epsilon();

  void check(gate_shape) const { detail::check_epsilon("renormalised_at_least", epsilon); }

  void forward(const T* s, index n, T* w) const {
    const T total = (std::max)(detail::sum_of_selected(s, n), epsilon);
    for (index i = 0; i < n; ++i) w[i] = s[i] / total;
  }
  /// ds_i += (dw_i - <dw, w>) / sum(s); below epsilon ds_i += dw_i / epsilon.
  void backward(const T* s, const T* w, index n, const T* dw, T* ds) const {
    const T total = detail::sum_of_selected(s, n);
    if (total >= epsilon) return detail::add_gradient_of_share(w, n, dw, total, ds);
    for (index i = 0; i < n; ++i) ds[i] += detail::finite_quotient(dw[i], epsilon);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
