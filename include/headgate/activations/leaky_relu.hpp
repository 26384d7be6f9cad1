// SPDX-License-Identifier: BSD-3-Clause
// Leaky rectified linear unit (Maas, Hannun, Ng 2013, section 2).
#pragma once

#include <headgate/activations/scalar_or_batch.hpp>
#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// f(x) = x for x > 0, slope x elsewhere. f'(0) = slope.
struct leaky_relu {
  double slope = 0.01;

  template <class V>
  [[nodiscard]] V value(V x) const {
    return choose(x > number<V>(0), x, number<V>(slope) * x);
  }
  template <class V>
  [[nodiscard]] V derivative(V x) const {
    return choose(x > number<V>(0), number<V>(1), number<V>(slope));
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
