// SPDX-License-Identifier: BSD-3-Clause
// The logistic function.
#pragma once

#include <headgate/activations/scalar_or_batch.hpp>
#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// f(x) = 1 / (1 + e^-x).
struct sigmoid {
  template <class V>
  [[nodiscard]] V value(V x) const {
    return number<V>(1) / (number<V>(1) + xsimd::exp(-x));  // e^-x = inf for very negative x gives the limit, 0
  }
  /// f'(x) = e / (1 + e)^2 with e = e^-|x|: f (1 - f) without its cancellation for large x.
  template <class V>
  [[nodiscard]] V derivative(V x) const {
    const V e = xsimd::exp(-xsimd::abs(x));
    const V r = number<V>(1) / (number<V>(1) + e);
    return e * r * r;
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
