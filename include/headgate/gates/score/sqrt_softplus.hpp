// SPDX-License-Identifier: BSD-3-Clause
// The square root of the softplus (DeepSeek-V4's router).
#pragma once

#include <headgate/activations/scalar_or_batch.hpp>
#include <headgate/activations/sigmoid.hpp>
#include <headgate/activations/softplus.hpp>
#include <headgate/config.hpp>
#include <headgate/gates/score/elementwise.hpp>
#include <headgate/kernels/exp.hpp>
#include <headgate/routing/routing.hpp>

#include <xsimd/xsimd.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// f(x) = sqrt(log(1 + e^x)). From -40 on downwards e^(x/2), the same number: so it keeps the order of logits beyond where
/// e^x is no normal number, and f(-inf) = f'(-inf) = 0.
struct sqrt_softplus {
  template <class V>
  [[nodiscard]] V value(V x) const {
    return choose(x < tail<V>(), half_exponential(x), xsimd::sqrt(softplus{}.value(x)));
  }
  /// f'(x) = sigmoid(x) / (2 f(x))
  template <class V>
  [[nodiscard]] V derivative(V x) const {
    const V inside = not_below(tail<V>(), x);
    const V slope = sigmoid{}.value(inside) / xsimd::sqrt(softplus{}.value(inside));
    return number<V>(0.5) * choose(x < tail<V>(), half_exponential(x), slope);
  }

 private:
  template <class V>
  static V tail() {
    return number<V>(-40);
  }
  template <class V>
  static V half_exponential(V x) {
    return kernels::exp_bounded(number<V>(0.5) * (xsimd::min)(x, number<V>(0)));
  }
};

/// s = sqrt(softplus(z)).
using sqrt_softplus_score = elementwise_score<sqrt_softplus, score_kind::positive>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
