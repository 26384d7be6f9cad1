// SPDX-License-Identifier: BSD-3-Clause
// Exponential linear unit (Clevert, Unterthiner, Hochreiter 2015, arXiv:1511.07289).
#pragma once

#include <headgate/activations/scalar_or_batch.hpp>
#include <headgate/config.hpp>
#include <headgate/kernels/exp.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// f(x) = x for x > 0, alpha (e^x - 1) elsewhere. f'(0) = alpha, the limit from below.
struct elu {
  double alpha = 1.0;

  template <class V>
  [[nodiscard]] V value(V x) const {
    return choose(x > number<V>(0), x, number<V>(alpha) * xsimd::expm1(x));
  }
  template <class V>
  [[nodiscard]] V derivative(V x) const {
    return choose(x > number<V>(0), number<V>(1), number<V>(alpha) * kernels::exp_bounded(x));
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
