// SPDX-License-Identifier: BSD-3-Clause
// The hyperbolic tangent.
#pragma once

#include <headgate/activations/scalar_or_batch.hpp>
#include <headgate/config.hpp>
#include <headgate/kernels/exp.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// f(x) = tanh x.
struct tanh {
  template <class V>
  [[nodiscard]] V value(V x) const {
    return xsimd::tanh(x);
  }
  /// f'(x) = 4 e / (1 + e)^2 with e = e^-2|x|: 1 - f^2 without its cancellation for large |x|.
  template <class V>
  [[nodiscard]] V derivative(V x) const {
    const V e = kernels::exp_bounded(number<V>(-2) * xsimd::abs(x));
    const V r = number<V>(2) / (number<V>(1) + e);
    return e * r * r;
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
