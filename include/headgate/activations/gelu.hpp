// SPDX-License-Identifier: BSD-3-Clause
// Gaussian error linear unit (Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2).
#pragma once

#include <headgate/activations/scalar_or_batch.hpp>
#include <headgate/config.hpp>
#include <headgate/kernels/exp.hpp>

#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace detail {

/// The normal distribution P(x) and exp(-x^2 / 2), to a few ulp of the larger of P(x) and 0.1.
///
///   P(-a) = exp(-a^2 / 2) q(s) / (a + 5),  s = 1 - 10 / (a + 5),  a >= 0
///
/// (after Shepherd and Laframboise 1981). q is a polynomial that interpolates at Chebyshev's nodes. One formula for the
/// whole line, so no branch; erfc of xsimd 8.1 takes three, and loses 4e-12 relative in double beyond x = -3.1.
template <class V>
struct normal_distribution {
  V bell, probability;

  explicit normal_distribution(V x) {
    const V r = number<V>(1) / (xsimd::abs(x) + number<V>(5));
    bell = kernels::exp_bounded(number<V>(-0.5) * x * x);
    const V q = polynomial(xsimd::fma(number<V>(-10), r, number<V>(1)));
    probability = choose(x < number<V>(0), bell * r * q, xsimd::fma(-bell * r, q, number<V>(1)));
  }

 private:
  static V polynomial(V s) {
    if constexpr (std::same_as<scalar_of<V>, float>)
      return horner({0.769193053, -0.665382922, 0.495305717, -0.313524485, 0.165018037, -0.0691677034, 0.0208084136,
                     -0.00287888758, -0.000829746656, 0.000425189268, -2.43519844e-05},
                    s);
    else
      return horner({0.769193049750063,      -0.6653825028900577,   0.4953056159699768,      -0.3135331566712138,
                     0.16502036617034282,    -0.06911863870881432,  0.020795066800941616,    -0.00299337673822322,
                     -0.0007978694094808063, 0.00054489883090093,   -5.9375673286488655e-05, -4.976177118979218e-05,
                     1.6681099115863468e-05, 3.977912640593242e-06, -2.769337871043854e-06,  -3.310698071526862e-07,
                     4.340262594829775e-07,  3.581840051543223e-08, -6.782555313291156e-08,  -5.015649939857857e-09,
                     9.446827519677366e-09,  5.037302126379857e-10, -8.166192624428987e-10},
                    s);
  }
};

}  // namespace detail

/// f(x) = x P(x), P the distribution function of the standard normal: the form with erf. f(-inf) = 0.
struct gelu {
  template <class V>
  [[nodiscard]] V value(V x) const {
    return fading_product(x, detail::normal_distribution<V>(x).probability);
  }
  /// f'(x) = P(x) + x p(x), p the normal density.
  template <class V>
  [[nodiscard]] V derivative(V x) const {
    const detail::normal_distribution<V> normal(x);
    return fading_fma(x, number<V>(0.3989422804014327) * normal.bell, normal.probability);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
