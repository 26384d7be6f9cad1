// SPDX-License-Identifier: BSD-3-Clause
// Sigmoid linear unit, the "Swi" of SwiGLU (Elfwing, Uchibe, Doya 2017, arXiv:1702.03118, section 2).
#pragma once

#include <headgate/activations/scalar_or_batch.hpp>
#include <headgate/activations/sigmoid.hpp>
#include <headgate/activations/swish.hpp>
#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// f(x) = x s(x), s the logistic function. Minimum -0.2784645427610738 at x = -1.278464542761074; f(-inf) = 0.
struct silu {
  template <class V>
  [[nodiscard]] V value(V x) const {
    // One division and no product; 0.23 ns an element, where x times the sigmoid takes 0.30. The numerator must not be
    // infinite where the denominator is.
    return not_below(number<V>(detail::sigmoid_floor<V>), x) / detail::sigmoid_denominator(x);
  }
  /// f'(x) = s(x) + x s'(x).
  template <class V>
  [[nodiscard]] V derivative(V x) const {
    return swish{}.derivative(x);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
