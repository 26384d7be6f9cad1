// SPDX-License-Identifier: BSD-3-Clause
// The noisy router (Shazeer et al. 2017, arXiv:1701.06538, eq. 4): trainable Gaussian noise on the logits.
#pragma once

#include <headgate/activations/softplus.hpp>
#include <headgate/config.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/gates/head/linear_head.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/kernels/gemm.hpp>
#include <headgate/routing/routing.hpp>

#include <cmath>
#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {

/// clean  = x weight'
/// scale  = softplus(x noise_weight') + epsilon
/// logits = clean + scale * N(0, 1)       (tokens x experts), in training; logits = clean otherwise
///
/// In training the record also holds `clean_logits` and `noise_scale`, which the load loss differentiates. The paper has
/// no epsilon; the published implementations use 0.01, without which the load estimate divides by a vanishing scale.
/// Weights start as normal numbers of standard deviation 1 / sqrt(model), noise weights at zero (paper, appendix A).
template <std::floating_point T, index Model = dynamic, index Experts = dynamic>
struct noisy_head {
  using scalar = T;
  struct params {
    matrix<T> weight, noise_weight;  // (experts x model)
  };
  struct cache {
    scratch<T> noise;         // (tokens x experts), N(0, 1)
    scratch<T> noise_logits;  // (tokens x experts), x noise_weight'
    scratch<T> dclean, dnoise;
  };
  static constexpr auto fields =
      std::tuple{field{"weight", &params::weight}, field{"noise_weight", &params::noise_weight}};

  HEADGATE_NO_UNIQUE_ADDRESS extent<Model> model{};
  HEADGATE_NO_UNIQUE_ADDRESS extent<Experts> experts{};
  T epsilon = T(0.01);

  void check(gate_shape) const {
    if (!(epsilon >= 0 && std::isfinite(epsilon)))
      refuse("noisy_head: epsilon is ", epsilon, ", it must be finite and at least 0");
  }

  [[nodiscard]] params init(std::mt19937_64& generator) const {
    return {randn<T>(experts, model, generator, T{1} / std::sqrt(static_cast<T>(index{model}))),
            matrix<T>::Zero(experts, model)};
  }

  template <class Pass>
  void forward(const params& p, in<T> x, routing<T>& r, cache& c, const Pass& pass) const {
    const view<T> z = r.logits.resize(x.rows(), experts);
    const auto times = [&](const matrix<T>& w, view<T> y) {
      kernels::gemm(kernels::times_transposed(view_of(x), nullptr, view_of(w), y), pass.executor, pass.working_memory);
    };
    if (!pass.training) return times(p.weight, z);

    const view<T> clean = r.clean_logits.resize(x.rows(), experts);
    const view<T> scale = r.noise_scale.resize(x.rows(), experts);
    times(p.weight, clean);
    times(p.noise_weight, c.noise_logits.resize(x.rows(), experts));
    c.noise.resize(x.rows(), experts);
    for (index t = 0; t < z.rows; ++t)
      for (index e = 0; e < z.cols; ++e) {
        c.noise(t, e) = static_cast<T>(normal(pass.random, t, e));
        scale(t, e) = softplus{}.value(c.noise_logits(t, e)) + epsilon;
        z(t, e) = clean(t, e) + scale(t, e) * c.noise(t, e);
      }
  }

  /// Adds to dx and dp; reads dL/d(logits, clean_logits, noise_scale) from d.
  template <class Pass>
  void backward(const params& p, in<T> x, const routing<T>& r, routing_gradient<T>& d, cache& c, out<T> dx, params& dp,
                const Pass& pass) const {
    if (r.noise_scale.rows() != x.rows())
      return detail::add_linear_gradients<T>(d.logits.block(), x, p.weight, dx, dp.weight, pass);

    const view<T> dclean = c.dclean.resize(x.rows(), experts);
    const view<T> dnoise = c.dnoise.resize(x.rows(), experts);
    for (index t = 0; t < dclean.rows; ++t)
      for (index e = 0; e < dclean.cols; ++e) {
        const T dz = d.logits(t, e);
        dclean(t, e) = dz + d.clean_logits(t, e);
        dnoise(t, e) = (dz * c.noise(t, e) + d.noise_scale(t, e)) * softplus{}.derivative(c.noise_logits(t, e));
      }
    detail::add_linear_gradients<T>(dclean, x, p.weight, dx, dp.weight, pass);
    detail::add_linear_gradients<T>(dnoise, x, p.noise_weight, dx, dp.noise_weight, pass);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
