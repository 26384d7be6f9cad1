// SPDX-License-Identifier: BSD-3-Clause
// Mish (Misra 2019, arXiv:1908.08681).
#pragma once

#include <headgate/activations/scalar_or_batch.hpp>
#include <headgate/config.hpp>
#include <headgate/kernels/exp.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// f(x) = x t(x), t(x) = tanh(log(1 + e^x)). f(-inf) = 0.
///
/// With e^x = q / p, of which the larger is 1 and the other e^-|x|:
///   t  = (q^2 + 2 q p) / (q^2 + 2 q p + 2 p^2)
///   t' = 4 q p^2 (q + p) / (q^2 + 2 q p + 2 p^2)^2
/// which neither overflows nor cancels. f' = t + x t'.
struct mish {
  template <class V>
  [[nodiscard]] V value(V x) const {
    const parts<V> s(x);
    return fading_product(x, s.numerator / s.denominator);
  }
  template <class V>
  [[nodiscard]] V derivative(V x) const {
    const parts<V> s(x);
    const V r = number<V>(1) / s.denominator;
    const V slope = number<V>(4) * s.q * s.p * s.p * (s.q + s.p) * r * r;
    return fading_fma(x, slope, s.numerator * r);
  }

 private:
  template <class V>
  struct parts {
    V q, p, numerator, denominator;

    explicit parts(V x) {
      const V e = kernels::exp_bounded(-xsimd::abs(x));
      q = choose(x < number<V>(0), e, number<V>(1));
      p = choose(x < number<V>(0), number<V>(1), e);
      numerator = q * xsimd::fma(number<V>(2), p, q);
      denominator = xsimd::fma(p + p, p, numerator);
    }
  };
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
