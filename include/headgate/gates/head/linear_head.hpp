// SPDX-License-Identifier: BSD-3-Clause
// The linear router: logits = x w' [+ b] (Shazeer et al. 2017, arXiv:1701.06538, eq. 2 before the softmax).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/biases.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/kernels/column_sums.hpp>
#include <headgate/kernels/gemm.hpp>
#include <headgate/routing/routing.hpp>

#include <cmath>
#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {

/// The backward of z = x w': dx += dz w, dw += dz' x.
template <class T, class Pass>
void add_linear_gradients(read_view<T> dz, in<T> x, const matrix<T>& w, out<T> dx, matrix<T>& dw, const Pass& pass) {
  kernels::gemm(kernels::times(dz, view_of(w), view_of(dx), true), pass.executor, pass.working_memory);
  kernels::gemm(kernels::add_transposed_times(dz, view_of(x), nullptr, view_of(dw)), pass.executor,
                pass.working_memory);
}

}  // namespace detail

/// logits = x weight' [+ bias]            (tokens x experts), weight (experts x model), bias (1 x experts)
///
/// Weights start as normal numbers of standard deviation 1 / sqrt(model), the bias at zero.
template <std::floating_point T, index Model = dynamic, index Experts = dynamic, biases Bias = biases::none>
struct linear_head {
  using scalar = T;
  struct params {
    matrix<T> weight;
    matrix<T> bias;  // 0 x 0 unless used
  };
  struct cache {};
  static constexpr auto fields = [] {
    if constexpr (Bias == biases::used)
      return std::tuple{field{"weight", &params::weight}, field{"bias", &params::bias}};
    else
      return std::tuple{field{"weight", &params::weight}};
  }();

  HEADGATE_NO_UNIQUE_ADDRESS extent<Model> model{};
  HEADGATE_NO_UNIQUE_ADDRESS extent<Experts> experts{};

  [[nodiscard]] params init(std::mt19937_64& generator) const {
    params p;
    p.weight = randn<T>(experts, model, generator, T{1} / std::sqrt(static_cast<T>(index{model})));
    if constexpr (Bias == biases::used) p.bias = matrix<T>::Zero(1, experts);
    return p;
  }

  template <class Pass>
  void forward(const params& p, in<T> x, routing<T>& r, cache&, const Pass& pass) const {
    const view<T> z = r.logits.resize(x.rows(), experts);
    const T* const b = Bias == biases::used ? p.bias.data() : nullptr;
    kernels::gemm(kernels::times_transposed(view_of(x), nullptr, view_of(p.weight), z, b), pass.executor,
                  pass.working_memory);
  }

  /// Adds to dx and dp; reads dL/d(logits) from d.
  template <class Pass>
  void backward(const params& p, in<T> x, const routing<T>&, routing_gradient<T>& d, cache&, out<T> dx, params& dp,
                const Pass& pass) const {
    const view<const T> dz = d.logits.block();
    detail::add_linear_gradients<T>(dz, x, p.weight, dx, dp.weight, pass);
    if constexpr (Bias == biases::used) kernels::add_column_sums(dz, dp.bias.data());
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
