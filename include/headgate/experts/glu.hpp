// SPDX-License-Identifier: BSD-3-Clause
// Experts of the GLU family (Shazeer 2020, arXiv:2002.05202, eq. 5-6).
#pragma once

#include <headgate/activations/clamped_swiglu.hpp>
#include <headgate/activations/gelu.hpp>
#include <headgate/activations/identity.hpp>
#include <headgate/activations/relu.hpp>
#include <headgate/activations/sigmoid.hpp>
#include <headgate/activations/silu.hpp>
#include <headgate/concepts/activation.hpp>
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

/// y = (activation(x gate') * (x up')) down', each product with its bias if they are used; with a `pair_activation`
/// y = activation(x gate', x up') down'
///
/// gate, up (hidden x model), down (model x hidden), biases (1 x outputs). Matrices start as normal numbers of standard
/// deviation 1 / sqrt(inputs), biases at zero. Gate, up and their product are computed together, in registers.
template <std::floating_point T, class Activation, index Model = dynamic, index Hidden = dynamic,
          biases Bias = biases::none>
struct glu_expert {
  using scalar = T;
  struct params {
    weights<T> gate, up, down;
    matrix<T> gate_bias, up_bias, down_bias;  // 0 x 0 unless used
  };
  struct cache {
    scratch<T> gate, up, hidden;  // (slots x hidden): both projections, and what is made of them
    scratch<T> dgate, dup;
    headgate::projection<T, params> projection;
  };
  static constexpr auto fields = [] {
    if constexpr (Bias == biases::used)
      return std::tuple{field{"gate", &params::gate}, field{"gate_bias", &params::gate_bias},
                        field{"up", &params::up},     field{"up_bias", &params::up_bias},
                        field{"down", &params::down}, field{"down_bias", &params::down_bias}};
    else
      return std::tuple{field{"gate", &params::gate}, field{"up", &params::up}, field{"down", &params::down}};
  }();

  HEADGATE_NO_UNIQUE_ADDRESS extent<Model> model{};
  HEADGATE_NO_UNIQUE_ADDRESS extent<Hidden> hidden{};
  HEADGATE_NO_UNIQUE_ADDRESS Activation activation{};

  void check() const {
    check_positive("glu_expert", "model", model);
    check_positive("glu_expert", "hidden", hidden);
    if constexpr (requires { activation.check(); }) activation.check();
  }

  /// Refuses parameters of other shapes, before a layer is made of them.
  void check(const params& p) const {
    constexpr bool biased = Bias == biases::used;
    check_shape("glu_expert", "gate", p.gate, hidden, model);
    check_shape("glu_expert", "up", p.up, hidden, model);
    check_shape("glu_expert", "down", p.down, model, hidden);
    check_shape("glu_expert", "gate_bias", p.gate_bias, biased, biased ? index{hidden} : 0);
    check_shape("glu_expert", "up_bias", p.up_bias, biased, biased ? index{hidden} : 0);
    check_shape("glu_expert", "down_bias", p.down_bias, biased, biased ? index{model} : 0);
  }

  [[nodiscard]] params init(std::mt19937_64& generator) const {
    params p;
    p.gate = randn<T>(hidden, model, generator, T{1} / std::sqrt(static_cast<T>(index{model})));
    p.up = randn<T>(hidden, model, generator, T{1} / std::sqrt(static_cast<T>(index{model})));
    p.down = randn<T>(model, hidden, generator, T{1} / std::sqrt(static_cast<T>(index{hidden})));
    if constexpr (Bias == biases::used) {
      p.gate_bias = matrix<T>::Zero(1, hidden);
      p.up_bias = matrix<T>::Zero(1, hidden);
      p.down_bias = matrix<T>::Zero(1, model);
    }
    return p;
  }

  template <class Pass>
  void forward(std::span<const params> p, const row_groups& g, in<T> x, out<T> y, cache& c, const Pass& pass) const {
    const view<T> u = kernels::resize_spread(c.gate, g.slots(), hidden);
    const view<T> v = kernels::resize_spread(c.up, g.slots(), hidden);
    const view<T> h = kernels::resize_spread(c.hidden, g.slots(), hidden);
    c.projection.forward_pair(
        p, g, view_of(x), &params::gate, &params::gate_bias, &params::up, &params::up_bias, pass,
        [&](index e, index row, index panel, const auto& gate_sum, const auto& up_sum) __attribute__((always_inline)) {
          const index slot = g.offsets[e] + row;
          const index col = panel * static_cast<index>(gate_sum.size);
          gate_sum.store_unaligned(u.row(slot) + col);
          up_sum.store_unaligned(v.row(slot) + col);
          activate(gate_sum, up_sum).store_unaligned(h.row(slot) + col);
        });
    const row_groups slots{g.count, g.offsets};
    c.projection.forward(p, slots, h, &params::down, &params::down_bias, view_of(y), pass);
  }

  template <class Pass>
  void backward(std::span<const params> p, const row_groups& g, in<T> x, in<T> dy, cache& c, out<T> dx,
                std::span<params> dp, const Pass& pass) const {
    const view<T> u = kernels::spread_block(c.gate, hidden);
    const view<T> v = kernels::spread_block(c.up, hidden);
    const view<T> du = kernels::resize_spread(c.dgate, g.slots(), hidden);
    const view<T> dv = kernels::resize_spread(c.dup, g.slots(), hidden);
    const row_groups slots{g.count, g.offsets};
    c.projection.backward_weight(dp, slots, view_of(dy), kernels::spread_block(c.hidden, hidden), &params::down,
                                 &params::down_bias, pass);
    c.projection.backward_input(
        p, slots, view_of(dy), &params::down, du,
        pass, [&](index e, index row, index panel, const auto& low, const auto& high) __attribute__((always_inline)) {
          const index slot = g.offsets[e] + row;
          const auto pull_back = [&](const auto& dh, index col) __attribute__((always_inline)) {
            using batch = std::remove_cvref_t<decltype(dh)>;
            const batch of_gate = batch::load_unaligned(u.row(slot) + col);
            const batch of_up = batch::load_unaligned(v.row(slot) + col);
            const pair_gradient<batch> d = projections_gradient(dh, of_gate, of_up);
            d.gate.store_unaligned(du.row(slot) + col);
            d.up.store_unaligned(dv.row(slot) + col);
          };
          const index lanes = static_cast<index>(low.size);
          pull_back(low, 2 * panel * lanes);
          pull_back(high, (2 * panel + 1) * lanes);
        });
    c.projection.backward_weight(dp, g, du, view_of(x), &params::gate, &params::gate_bias, pass);
    c.projection.backward_weight(dp, g, dv, view_of(x), &params::up, &params::up_bias, pass);
    c.projection.backward_input_pair(p, slots, du, &params::gate, dv, &params::up, view_of(dx), pass);
  }

  /// What packed_layer takes apart (concept `packable_expert`).
  [[nodiscard]] static kernels::product<T> input_projection(const params& p) {
    return kernels::pair_times_transposed<T>({}, nullptr, 0, view_of(p.gate), view_of(p.up), bias_or_null(p.gate_bias),
                                             bias_or_null(p.up_bias));
  }
  [[nodiscard]] static kernels::product<T> output_projection(const params& p) {
    return kernels::of_weight<T>(view_of(p.down), bias_or_null(p.down_bias));
  }
  template <class V>
  [[nodiscard]] V activate(const V& gate_sum, const V& up_sum) const {
    if constexpr (pair_activation<Activation>)
      return activation.value(gate_sum, up_sum);
    else
      return activation.value(gate_sum) * up_sum;
  }

  void forward(const params& p, in<T> x, out<T> y, cache& c) const { forward_block(*this, p, x, y, c); }
  void backward(const params& p, in<T> x, in<T> dy, cache& c, out<T> dx, params& dp) const {
    backward_block(*this, p, x, dy, c, dx, dp);
  }

 private:
  /// Of both projections, from that of the hidden value.
  template <class V>
  [[nodiscard]] pair_gradient<V> projections_gradient(const V& dh, const V& of_gate, const V& of_up) const {
    if constexpr (pair_activation<Activation>) {
      const pair_gradient<V> d = activation.gradient(of_gate, of_up);
      return {dh * d.gate, dh * d.up};
    } else {
      return {dh * of_up * activation.derivative(of_gate), dh * activation.value(of_gate)};
    }
  }
};

/// The family by name: what stands in the place of the activation.
template <std::floating_point T, index Model = dynamic, index Hidden = dynamic, biases Bias = biases::none>
using sigmoid_glu_expert = glu_expert<T, sigmoid, Model, Hidden, Bias>;
template <std::floating_point T, index Model = dynamic, index Hidden = dynamic, biases Bias = biases::none>
using bilinear_expert = glu_expert<T, identity, Model, Hidden, Bias>;
template <std::floating_point T, index Model = dynamic, index Hidden = dynamic, biases Bias = biases::none>
using reglu_expert = glu_expert<T, relu, Model, Hidden, Bias>;
template <std::floating_point T, index Model = dynamic, index Hidden = dynamic, biases Bias = biases::none>
using geglu_expert = glu_expert<T, gelu, Model, Hidden, Bias>;
template <std::floating_point T, index Model = dynamic, index Hidden = dynamic, biases Bias = biases::none>
using swiglu_expert = glu_expert<T, silu, Model, Hidden, Bias>;
template <std::floating_point T, index Model = dynamic, index Hidden = dynamic, biases Bias = biases::none>
using clamped_swiglu_expert = glu_expert<T, clamped_swiglu, Model, Hidden, Bias>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
