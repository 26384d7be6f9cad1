// SPDX-License-Identifier: BSD-3-Clause
// Scaled exponential linear unit (Klambauer, Unterthiner, Mayr, Hochreiter 2017, arXiv:1706.02515, equation 2).
#pragma once

#include <headgate/activations/scalar_or_batch.hpp>
#include <headgate/config.hpp>
#include <headgate/kernels/exp.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// f(x) = lambda x for x > 0, lambda alpha (e^x - 1) elsewhere. f'(0) = lambda alpha, the limit from below.
///
/// The constants make mean 0 and variance 1 a fixed point of normally distributed inputs.
struct selu {
  static constexpr double lambda = 1.0507009873554805;
  static constexpr double alpha = 1.6732632423543772;

  template <class V>
  [[nodiscard]] V value(V x) const {
    return choose(x > number<V>(0), number<V>(lambda) * x, number<V>(lambda * alpha) * xsimd::expm1(x));
  }
  template <class V>
  [[nodiscard]] V derivative(V x) const {
    return choose(x > number<V>(0), number<V>(lambda), number<V>(lambda * alpha) * kernels::exp_bounded(x));
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
