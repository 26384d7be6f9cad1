// SPDX-License-Identifier: BSD-3-Clause
// Softplus (Dugas, Bengio, Belisle, Nadeau, Garcia 2000).
#pragma once

#include <headgate/activations/relu.hpp>
#include <headgate/activations/sigmoid.hpp>
#include <headgate/config.hpp>
#include <headgate/kernels/exp.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// f(x) = log(1 + e^x), computed as max(0, x) + log1p(e^-|x|): linear for large x, never an overflow.
struct softplus {
  template <class V>
  [[nodiscard]] V value(V x) const {
    return relu{}.value(x) + xsimd::log1p(kernels::exp_bounded(-xsimd::abs(x)));
  }
  /// f'(x) = 1 / (1 + e^-x).
  template <class V>
  [[nodiscard]] V derivative(V x) const {
    return sigmoid{}.value(x);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
