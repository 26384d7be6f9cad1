// SPDX-License-Identifier: BSD-3-Clause
// Swish with a fixed beta (Ramachandran, Zoph, Le 2017, arXiv:1710.05941, section 4).
#pragma once

#include <headgate/activations/scalar_or_batch.hpp>
#include <headgate/activations/sigmoid.hpp>
#include <headgate/config.hpp>
#include <headgate/kernels/exp.hpp>

#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// f(x) = x s(beta x), s the logistic function. beta = 1 is `silu`, beta = 0 is x / 2, a large beta comes near ReLU.
struct swish {
  double beta = 1.0;

  template <class V>
  [[nodiscard]] V value(V x) const {
    const V d = detail::sigmoid_denominator(number<V>(beta) * x);
    return choose(d == number<V>(std::numeric_limits<double>::infinity()), number<V>(0), x / d);  // not -inf / inf
  }
  /// f'(x) = s(beta x) + beta x s'(beta x).
  template <class V>
  [[nodiscard]] V derivative(V x) const {
    const V u = number<V>(beta) * x;
    const V e = kernels::exp_bounded(-xsimd::abs(u));
    const V r = number<V>(1) / (number<V>(1) + e);
    return fading_fma(u, e * r * r, choose(u < number<V>(0), e * r, r));
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
