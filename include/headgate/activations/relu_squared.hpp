// SPDX-License-Identifier: BSD-3-Clause
// Squared rectified linear unit (So et al. 2021, "Primer", arXiv:2109.08668, section 3).
#pragma once

#include <headgate/activations/relu.hpp>
#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// f(x) = max(0, x)^2. f'(x) = 2 max(0, x), continuous at 0.
struct relu_squared {
  template <class V>
  [[nodiscard]] V value(V x) const {
    const V positive = relu{}.value(x);
    return positive * positive;
  }
  template <class V>
  [[nodiscard]] V derivative(V x) const {
    const V positive = relu{}.value(x);
    return positive + positive;
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
