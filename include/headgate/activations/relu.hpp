// SPDX-License-Identifier: BSD-3-Clause
// Rectified linear unit (Nair and Hinton 2010; Glorot, Bordes, Bengio 2011).
#pragma once

#include <headgate/activations/scalar_or_batch.hpp>
#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// f(x) = max(0, x). f'(0) = 0.
struct relu {
  template <class V>
  [[nodiscard]] V value(V x) const {
    return choose(x <= number<V>(0), number<V>(0), x);  // not max: a NaN must stay
  }
  template <class V>
  [[nodiscard]] V derivative(V x) const {
    return choose(x > number<V>(0), number<V>(1), number<V>(0));
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
