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
#include <headgate/core/weights.hpp>
#include <headgate/experts/one_block.hpp>
#include <headgate/experts/projection.hpp>
#include <headgate/kernels/blocking.hpp>

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
    weights<T> up, down;
    matrix<T> up_bias, down_bias;  // 0 x 0 unless used
  };
  struct cache {
    scratch<T> pre;     // (slots x hidden), before the activation
    scratch<T> hidden;  // (slots x hidden), after it
    scratch<T> dpre;    // (slots x hidden)
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

  /// Refuses parameters of other shapes, before a layer is made of them.
  void check(const params& p) const {
    constexpr bool biased = Bias == biases::used;
    check_shape("ffn_expert", "up", p.up, hidden, model);
    check_shape("ffn_expert", "down", p.down, model, hidden);
    check_shape("ffn_expert", "up_bias", p.up_bias, biased, biased ? index{hidden} : 0);
    check_shape("ffn_expert", "down_bias", p.down_bias, biased, biased ? index{model} : 0);
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
    const view<T> pre = kernels::resize_spread(c.pre, g.slots(), hidden);
    const view<T> h = kernels::resize_spread(c.hidden, g.slots(), hidden);
    c.projection.forward(
        p, g, view_of(x), &params::up, &params::up_bias, pre,
        pass, [&](index e, index row, index panel, const auto& low, const auto& high) __attribute__((always_inline)) {
          const index lanes = static_cast<index>(low.size);
          T* const pre_row = pre.row(g.offsets[e] + row) + 2 * panel * lanes;
          T* const h_row = h.row(g.offsets[e] + row) + 2 * panel * lanes;
          low.store_unaligned(pre_row);
          high.store_unaligned(pre_row + lanes);
          activate(low).store_unaligned(h_row);
          activate(high).store_unaligned(h_row + lanes);
        });
    const row_groups slots{g.count, g.offsets};
    c.projection.forward(p, slots, h, &params::down, &params::down_bias, view_of(y), pass);
  }

  template <class Pass>
  void backward(std::span<const params> p, const row_groups& g, in<T> x, in<T> dy, cache& c, out<T> dx,
                std::span<params> dp, const Pass& pass) const {
    const view<T> pre = kernels::spread_block(c.pre, hidden);
    const view<T> dpre = kernels::resize_spread(c.dpre, g.slots(), hidden);
    const row_groups slots{g.count, g.offsets};
    c.projection.backward_weight(dp, slots, view_of(dy), kernels::spread_block(c.hidden, hidden), &params::down,
                                 &params::down_bias, pass);
    c.projection.backward_input(
        p, slots, view_of(dy), &params::down, dpre,
        pass, [&](index e, index row, index panel, const auto& low, const auto& high) __attribute__((always_inline)) {
          const index slot = g.offsets[e] + row;
          const auto pull_back = [&](const auto& dh, index col) __attribute__((always_inline)) {
            using batch = std::remove_cvref_t<decltype(dh)>;
            const batch of_pre = batch::load_unaligned(pre.row(slot) + col);
            (dh * activation.derivative(of_pre)).store_unaligned(dpre.row(slot) + col);
          };
          const index lanes = static_cast<index>(low.size);
          pull_back(low, 2 * panel * lanes);
          pull_back(high, (2 * panel + 1) * lanes);
        });
    c.projection.backward_weight(dp, g, dpre, view_of(x), &params::up, &params::up_bias, pass);
    c.projection.backward_input(p, slots, dpre, &params::up, view_of(dx), pass);
  }

  /// What packed_layer takes apart (concept `packable_expert`).
  [[nodiscard]] static kernels::product<T> input_projection(const params& p) {
    return kernels::of_weight<T>(view_of(p.up), bias_or_null(p.up_bias));
  }
  [[nodiscard]] static kernels::product<T> output_projection(const params& p) {
    return kernels::of_weight<T>(view_of(p.down), bias_or_null(p.down_bias));
  }
  template <class V>
  [[nodiscard]] V activate(const V& sum) const {
    return activation.value(sum);
  }

  void forward(const params& p, in<T> x, out<T> y, cache& c) const { forward_block(*this, p, x, y, c); }
  void backward(const params& p, in<T> x, in<T> dy, cache& c, out<T> dx, params& dp) const {
    backward_block(*this, p, x, dy, c, dx, dp);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
