// SPDX-License-Identifier: BSD-3-Clause
// Experts of the GLU family (Shazeer 2020, arXiv:2002.05202, eq. 5-6).
#pragma once

#include <headgate/activations/gelu.hpp>
#include <headgate/activations/identity.hpp>
#include <headgate/activations/relu.hpp>
#include <headgate/activations/sigmoid.hpp>
#include <headgate/activations/silu.hpp>
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

/// y = (activation(x gate') * (x up')) down', each product with its bias if they are used
///
/// gate, up (hidden x model), down (model x hidden), biases (1 x outputs). Matrices start as normal numbers of standard
/// deviation 1 / sqrt(inputs), biases at zero. Gate, up and activation of a tile are computed while it is in cache.
template <std::floating_point T, class Activation, index Model = dynamic, index Hidden = dynamic,
          biases Bias = biases::none>
struct glu_expert {
  using scalar = T;
  struct params {
    matrix<T> gate, up, down;
    matrix<T> gate_bias, up_bias, down_bias;  // 0 x 0 unless used
  };
  struct cache {
    scratch<T> gate, up, hidden;  // (slots x hidden): both projections, and activation(gate) * up
    scratch<T> dhidden, dgate, dup;
    array<kernels::product_group<T, 2>> pairs;
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
    const view<T> u = c.gate.resize(g.slots(), hidden);
    const view<T> v = c.up.resize(g.slots(), hidden);
    const view<T> h = c.hidden.resize(g.slots(), hidden);
    const auto& one = headgate::projection<T, params>::one;
    c.pairs.resize(g.count);
    for (index e = 0; e < g.count; ++e)
      c.pairs[e] = {one(p, g, view_of(x), &params::gate, &params::gate_bias, u, e),
                    one(p, g, view_of(x), &params::up, &params::up_bias, v, e)};
    kernels::grouped_product(c.pairs, pass.executor, pass.working_memory,
                             [&](index e, index first, index last, index first_col, index last_col) {
                               const auto tile = [&](view<T> all) {
                                 return g.slice(all, e).part(first, last, first_col, last_col);
                               };
                               kernels::glu<xsimd::default_arch, T>(tile(u), tile(v), tile(h), activation);
                             });
    const row_groups slots{g.count, g.offsets};
    c.projection.forward(p, slots, h, &params::down, &params::down_bias, view_of(y), pass);
  }

  template <class Pass>
  void backward(std::span<const params> p, const row_groups& g, in<T> x, in<T> dy, cache& c, out<T> dx,
                std::span<params> dp, const Pass& pass) const {
    const view<T> dh = c.dhidden.resize(g.slots(), hidden);
    const view<T> du = c.dgate.resize(g.slots(), hidden);
    const view<T> dv = c.dup.resize(g.slots(), hidden);
    const row_groups slots{g.count, g.offsets};
    c.projection.backward_weight(dp, slots, view_of(dy), c.hidden.block(), &params::down, &params::down_bias, pass);
    c.projection.backward_input(
        p, slots, view_of(dy), &params::down, dh, pass, false,
        [&](index e, index first, index last, index first_col, index last_col) {
          const auto tile = [&](view<T> all) { return g.slice(all, e).part(first, last, first_col, last_col); };
          kernels::glu_backward<xsimd::default_arch, T>(tile(c.gate.block()), tile(c.up.block()), tile(dh), tile(du),
                                                        tile(dv), activation);
        });
    c.projection.backward_weight(dp, g, du, view_of(x), &params::gate, &params::gate_bias, pass);
    c.projection.backward_weight(dp, g, dv, view_of(x), &params::up, &params::up_bias, pass);
    c.projection.backward_input(p, slots, du, &params::gate, view_of(dx), pass);
    c.projection.backward_input(p, slots, dv, &params::up, view_of(dx), pass, true);
  }

  void forward(const params& p, in<T> x, out<T> y, cache& c) const { forward_block(*this, p, x, y, c); }
  void backward(const params& p, in<T> x, in<T> dy, cache& c, out<T> dx, params& dp) const {
    backward_block(*this, p, x, dy, c, dx, dp);
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

}  // namespace HEADGATE_ABI
}  // namespace headgate
