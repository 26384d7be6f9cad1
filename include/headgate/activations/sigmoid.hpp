// SPDX-License-Identifier: BSD-3-Clause
// The logistic function.
#pragma once

#include <headgate/activations/scalar_or_batch.hpp>
#include <headgate/config.hpp>
#include <headgate/kernels/exp.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {

/// From here on downwards e^-x is taken for infinite: a number whose reciprocal is no normal one.
template <class V>
inline constexpr double sigmoid_floor = -static_cast<double>(kernels::exp_bound<scalar_of<V>>);

/// 1 + e^-x.
template <class V>
[[nodiscard]] HEADGATE_ALWAYS_INLINE V sigmoid_denominator(V x) {
  return number<V>(1) + kernels::exp_bounded(-not_below(number<V>(sigmoid_floor<V>), x));
}

}  // namespace detail

/// f(x) = 1 / (1 + e^-x). f(-inf) = 0.
struct sigmoid {
  template <class V>
  [[nodiscard]] V value(V x) const {
    return number<V>(1) / detail::sigmoid_denominator(x);
  }
  /// f'(x) = e / (1 + e)^2 with e = e^-|x|: f (1 - f) without its cancellation for large x.
  template <class V>
  [[nodiscard]] V derivative(V x) const {
    const V e = kernels::exp_bounded(-xsimd::abs(x));
    const V r = number<V>(1) / (number<V>(1) + e);
    return e * r * r;
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
