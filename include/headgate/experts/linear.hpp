// SPDX-License-Identifier: BSD-3-Clause
// The linear expert.
#pragma once

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

#include <cmath>
#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {

/// y = x weight' [+ bias]
///
/// weight (outputs x model), normal numbers of standard deviation 1 / sqrt(model) at first; bias (1 x outputs), zero.
template <std::floating_point T, index Model = dynamic, index Outputs = dynamic, biases Bias = biases::none>
struct linear_expert {
  using scalar = T;
  struct params {
    weights<T> weight;
    matrix<T> bias;  // 0 x 0 unless used
  };
  struct cache {
    headgate::projection<T, params> projection;
  };
  static constexpr auto fields = [] {
    if constexpr (Bias == biases::used)
      return std::tuple{field{"weight", &params::weight}, field{"bias", &params::bias}};
    else
      return std::tuple{field{"weight", &params::weight}};
  }();

  HEADGATE_NO_UNIQUE_ADDRESS extent<Model> model{};
  HEADGATE_NO_UNIQUE_ADDRESS extent<Outputs> outputs{};

  void check() const {
    check_positive("linear_expert", "model", model);
    check_positive("linear_expert", "outputs", outputs);
  }

  /// Refuses parameters of other shapes, before a layer is made of them.
  void check(const params& p) const {
    constexpr bool biased = Bias == biases::used;
    check_shape("linear_expert", "weight", p.weight, outputs, model);
    check_shape("linear_expert", "bias", p.bias, biased, biased ? index{outputs} : 0);
  }

  [[nodiscard]] params init(std::mt19937_64& generator) const {
    params p;
    p.weight = randn<T>(outputs, model, generator, T{1} / std::sqrt(static_cast<T>(index{model})));
    if constexpr (Bias == biases::used) p.bias = matrix<T>::Zero(1, outputs);
    return p;
  }

  template <class Pass>
  void forward(std::span<const params> p, const row_groups& g, in<T> x, out<T> y, cache& c, const Pass& pass) const {
    c.projection.forward(p, g, view_of(x), &params::weight, &params::bias, view_of(y), pass);
  }

  template <class Pass>
  void backward(std::span<const params> p, const row_groups& g, in<T> x, in<T> dy, cache& c, out<T> dx,
                std::span<params> dp, const Pass& pass) const {
    c.projection.backward_weight(dp, g, view_of(dy), view_of(x), &params::weight, &params::bias, pass);
    c.projection.backward_input(p, {g.count, g.offsets}, view_of(dy), &params::weight, view_of(dx), pass);
  }

  /// What packed_layer takes (concept `packable_expert`).
  [[nodiscard]] static kernels::product<T> output_projection(const params& p) {
    return kernels::of_weight<T>(view_of(p.weight), bias_or_null(p.bias));
  }

  void forward(const params& p, in<T> x, out<T> y, cache& c) const { forward_block(*this, p, x, y, c); }
  void backward(const params& p, in<T> x, in<T> dy, cache& c, out<T> dx, params& dp) const {
    backward_block(*this, p, x, dy, c, dx, dp);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
