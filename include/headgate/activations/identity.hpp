// SPDX-License-Identifier: BSD-3-Clause
// The identity, for bilinear GLU experts and linear layers.
#pragma once

#include <headgate/activations/scalar_or_batch.hpp>
#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// f(x) = x, f'(x) = 1.
struct identity {
  template <class V>
  [[nodiscard]] V value(V x) const {
    return x;
  }
  template <class V>
  [[nodiscard]] V derivative(V /*x*/) const {
    return number<V>(1);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
