// SPDX-License-Identifier: BSD-3-Clause
// Gaussian error linear unit in its form with tanh (Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2).
#pragma once

#include <headgate/activations/scalar_or_batch.hpp>
#include <headgate/activations/sigmoid.hpp>
#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// f(x) = x (1 + tanh(v / 2)) / 2 = x s(v) with v = 2 sqrt(2 / pi) (x + 0.044715 x^3), s the logistic function. Not
/// `gelu` made faster but another function, up to 5e-4 away: take the one that a model was trained with.
struct gelu_tanh {
  template <class V>
  [[nodiscard]] V value(V x) const {
    x = not_below(number<V>(-22), x);  // where s(v) is 0 in both types: -inf would become -inf / inf
    return x / detail::sigmoid_denominator(inner(x));
  }
  /// f'(x) = s(v) + x v' s'(v).
  template <class V>
  [[nodiscard]] V derivative(V x) const {
    const V v = inner(x);
    const V dv = number<V>(scale) * xsimd::fma(number<V>(3 * cubic), x * x, number<V>(1));
    return fading_fma(x * dv, sigmoid{}.derivative(v), sigmoid{}.value(v));
  }

 private:
  static constexpr double scale = 1.5957691216057308;  // 2 sqrt(2 / pi)
  static constexpr double cubic = 0.044715;

  template <class V>
  static V inner(V x) {
    return number<V>(scale) * x * xsimd::fma(number<V>(cubic), x * x, number<V>(1));
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
