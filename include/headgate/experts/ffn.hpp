// SPDX-License-Identifier: BSD-3-Clause
// The feed-forward expert (Vaswani et al. 2017, arXiv:1706.03762, eq. 2) with any activation.
#pragma once

#include <headgate/activations/relu.hpp>
#include <headgate/config.hpp>
#include <headgate/core/biases.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/experts/one_block.hpp>
#include <headgate/experts/projection.hpp>
#include <headgate/kernels/elementwise.hpp>

#include <cmath>
#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {

/// y = activation(x up' [+ up_bias]) down' [+ down_bias]
///
/// up (hidden x model), down (model x hidden), biases (1 x hidden) and (1 x model). Matrices start as normal numbers of
/// standard deviation 1 / sqrt(inputs), biases at zero.
template <std::floating_point T, class Activation = relu, index Model = dynamic, index Hidden = dynamic,
          biases Bias = biases::none>
struct ffn_expert {
  using scalar = T;
  struct params {
    matrix<T> up, down;
    matrix<T> up_bias, down_bias;  // 0 x 0 unless used
  };
  struct cache {
    scratch<T> pre;      // (slots x hidden), before the activation
    scratch<T> hidden;   // (slots x hidden), after it
    scratch<T> dhidden;  // (slots x hidden)
    headgate::projection<T, params> projection;
  };
  static constexpr auto fields = [] {
    if constexpr (Bias == biases::used)
      return std::tuple{field{"up", &params::up}, field{"up_bias", &params::up_bias}, field{"down", &params::down},
                        field{"down_bias", &params::down_bias}};
    else
      return std::tuple{field{"up", &params::up}, field{"down", &params::down}};
  }();

  HEADGATE_NO_UNIQUE_ADDRESS extent<Model> model{};
  HEADGATE_NO_UNIQUE_ADDRESS extent<Hidden> hidden{};
  HEADGATE_NO_UNIQUE_ADDRESS Activation activation{};

  void check() const {
    check_positive("ffn_expert", "model", model);
    check_positive("ffn_expert", "hidden", hidden);
  }

  [[nodiscard]] params init(std::mt19937_64& generator) const {
    params p;
    p.up = randn<T>(hidden, model, generator, T{1} / std::sqrt(static_cast<T>(index{model})));
    p.down = randn<T>(model, hidden, generator, T{1} / std::sqrt(static_cast<T>(index{hidden})));
    if constexpr (Bias == biases::used) {
      p.up_bias = matrix<T>::Zero(1, hidden);
      p.down_bias = matrix<T>::Zero(1, model);
    }
    return p;
  }

  template <class Pass>
  void forward(std::span<const params> p, const row_groups& g, in<T> x, out<T> y, cache& c, const Pass& pass) const {
    const view<T> pre = c.pre.resize(g.slots(), hidden);
    const view<T> h = c.hidden.resize(g.slots(), hidden);
    c.projection.forward(p, g, view_of(x), &params::up, &params::up_bias, pre, pass,
                         [&](index e, index first, index last, index first_col, index last_col) {
                           kernels::activate<xsimd::default_arch, T>(
                               g.slice(pre, e).part(first, last, first_col, last_col),
                               g.slice(h, e).part(first, last, first_col, last_col), activation);
                         });
    const row_groups slots{g.count, g.offsets};
    c.projection.forward(p, slots, h, &params::down, &params::down_bias, view_of(y), pass);
  }

  template <class Pass>
  void backward(std::span<const params> p, const row_groups& g, in<T> x, in<T> dy, cache& c, out<T> dx,
                std::span<params> dp, const Pass& pass) const {
    const view<T> pre = c.pre.block();
    const view<T> dpre = c.dhidden.resize(g.slots(), hidden);
    const row_groups slots{g.count, g.offsets};
    c.projection.backward_weight(dp, slots, view_of(dy), c.hidden.block(), &params::down, &params::down_bias, pass);
    c.projection.backward_input(p, slots, view_of(dy), &params::down, dpre, pass, false,
                                [&](index e, index first, index last, index first_col, index last_col) {
                                  const view<T> d = g.slice(dpre, e).part(first, last, first_col, last_col);
                                  kernels::activate_backward<xsimd::default_arch, T>(
                                      g.slice(pre, e).part(first, last, first_col, last_col), d, d, activation);
                                });
    c.projection.backward_weight(dp, g, dpre, view_of(x), &params::up, &params::up_bias, pass);
    c.projection.backward_input(p, slots, dpre, &params::up, view_of(dx), pass);
  }

  void forward(const params& p, in<T> x, out<T> y, cache& c) const { forward_block(*this, p, x, y, c); }
  void backward(const params& p, in<T> x, in<T> dy, cache& c, out<T> dx, params& dp) const {
    backward_block(*this, p, x, dy, c, dx, dp);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
