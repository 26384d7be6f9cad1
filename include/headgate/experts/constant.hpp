// SPDX-License-Identifier: BSD-3-Clause
// An expert that gives the same row for every token: the output bias of a layer.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/core/weights.hpp>
#include <headgate/experts/one_block.hpp>
#include <headgate/experts/projection.hpp>
#include <headgate/kernels/column_sums.hpp>
#include <headgate/kernels/product.hpp>
#include <headgate/routing/combine.hpp>  // for_each_row

#include <algorithm>
#include <concepts>
#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// y = bias, whatever x is; bias (1 x outputs) starts at zero.
///
/// As the shared expert of a layer it is a bias that is added once for every token, beside the combination (JetMoE); as a
/// routed expert its row is added with the token's weight.
template <std::floating_point T, index Model = dynamic, index Outputs = dynamic>
struct constant_expert {
  using scalar = T;
  struct params {
    matrix<T> bias;
  };
  struct cache {};
  static constexpr auto fields = std::tuple{field{"bias", &params::bias}};

  HEADGATE_NO_UNIQUE_ADDRESS extent<Model> model{};
  HEADGATE_NO_UNIQUE_ADDRESS extent<Outputs> outputs{};

  void check() const {
    check_positive("constant_expert", "model", model);
    check_positive("constant_expert", "outputs", outputs);
  }

  /// Refuses parameters of other shapes, before a layer is made of them.
  void check(const params& p) const { check_shape("constant_expert", "bias", p.bias, 1, outputs); }

  [[nodiscard]] params init(std::mt19937_64&) const { return {matrix<T>::Zero(1, outputs)}; }

  template <class Pass>
  void forward(std::span<const params> p, const row_groups& g, in<T>, out<T> y, cache&, const Pass& pass) const {
    const view<T> rows = view_of(y);
    for (index e = 0; e < g.count; ++e) {
      const T* const bias = p[static_cast<std::size_t>(e)].bias.data();
      detail::for_each_row(pass.executor, g.size(e),
                           [&](index row) { std::copy_n(bias, rows.cols, rows.row(g.offsets[e] + row)); });
    }
  }

  template <class Pass>
  void backward(std::span<const params>, const row_groups& g, in<T>, in<T> dy, cache&, out<T> dx, std::span<params> dp,
                const Pass&) const {
    dx.setZero();
    if (dp.empty()) return;
    for (index e = 0; e < g.count; ++e)
      kernels::add_column_sums(g.slice(view_of(dy), e), dp[static_cast<std::size_t>(e)].bias.data());
  }

  /// What packed_layer takes (concept `packable_expert`): a product of no depth, whose sums are the bias.
  [[nodiscard]] static kernels::product<T> output_projection(const params& p) {
    return kernels::of_weight<T>({nullptr, p.bias.cols(), 0}, bias_or_null(p.bias));
  }

  void forward(const params& p, in<T> x, out<T> y, cache& c) const { forward_block(*this, p, x, y, c); }
  void backward(const params& p, in<T> x, in<T> dy, cache& c, out<T> dx, params& dp) const {
    backward_block(*this, p, x, dy, c, dx, dp);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
