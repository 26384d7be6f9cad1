// SPDX-License-Identifier: BSD-3-Clause
// An expert with a gate of its own: the shared expert of Qwen2-MoE.
#pragma once

#include <headgate/activations/sigmoid.hpp>
#include <headgate/concepts/expert_policy.hpp>
#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/core/weights.hpp>
#include <headgate/experts/expert_bank.hpp>
#include <headgate/experts/one_block.hpp>
#include <headgate/kernels/blocking.hpp>
#include <headgate/kernels/elementwise.hpp>
#include <headgate/kernels/reduce.hpp>
#include <headgate/routing/combine.hpp>  // for_each_row

#include <algorithm>
#include <cmath>
#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// y = sigmoid(x gate_weight') * expert(x)
///
/// gate_weight (1 x model), normal numbers of standard deviation 1 / sqrt(model) at first; the expert's own parameters stand
/// beside it under their own names. Meant for the shared expert: the experts of a bank run one after the other.
template <class Expert>
struct sigmoid_gated {
  static_assert(expert_policy<Expert>,
                "sigmoid_gated: Expert does not model headgate::expert_policy (docs/writing-an-expert.md)");

  using scalar = typename Expert::scalar;
  using T = scalar;
  using gated_expert = Expert;
  struct params {
    matrix<T> gate_weight;
    typename Expert::params expert;
  };
  struct cache {
    array<expert_bank_cache<Expert>> each;
    scratch<T> rows, drows;               // (slots x outputs), of the expert alone
    scratch<T> logits, weights, dlogits;  // (1 x slots), before and after the sigmoid
  };
  static constexpr auto fields =
      std::tuple{field{"gate_weight", &params::gate_weight}, part<Expert>("", &params::expert)};

  HEADGATE_NO_UNIQUE_ADDRESS Expert expert{};

  [[nodiscard]] index model() const { return model_of(expert); }
  [[nodiscard]] index outputs() const { return outputs_of(expert); }
  void check() const {
    if constexpr (requires { expert.check(); }) expert.check();
  }
  /// Refuses parameters of other shapes, before a layer is made of them.
  void check(const params& p) const {
    check_shape("sigmoid_gated", "gate_weight", p.gate_weight, 1, model());
    if constexpr (requires { expert.check(p.expert); }) expert.check(p.expert);
  }
  [[nodiscard]] params init(std::mt19937_64& generator) const {
    params p;
    p.gate_weight = randn<T>(1, model(), generator, T{1} / std::sqrt(static_cast<T>(model())));
    p.expert = expert.init(generator);
    return p;
  }

  template <class Pass>
  void forward(std::span<const params> p, const row_groups& g, in<T> x, out<T> y, cache& c, const Pass& pass) const {
    const view<T> rows = kernels::resize_spread(c.rows, g.slots(), outputs());
    c.logits.resize(1, g.slots()), c.weights.resize(1, g.slots());
    if (c.each.size() != g.count) c.each.resize(g.count);
    for_each_expert(g, pass, [&](index e, const row_groups& alone, const Pass& of_expert) {
      const params& mine = p[static_cast<std::size_t>(e)];
      const view<const T> source = g.source(view_of(x), e);
      const index first = g.offsets[e];
      weigh_rows(mine.gate_weight.data(), alone, source, c.logits.data() + first, c.weights.data() + first,
                 pass.executor);
      forward_experts(expert, std::span<const typename Expert::params>(&mine.expert, 1), alone, in<T>(map_of(source)),
                      g.slice(rows, e), c.each[e], of_expert);
    });
    const view<T> to = view_of(y);
    detail::for_each_row(pass.executor, g.slots(), [&](index s) {
      std::fill_n(to.row(s), to.cols, T{0});  // added to zero, as packed_layer does: no product of -0
      kernels::axpy_row(c.weights(0, s), rows.row(s), to.row(s), to.cols);
    });
  }

  template <class Pass>
  void backward(std::span<const params> p, const row_groups& g, in<T> x, in<T> dy, cache& c, out<T> dx,
                std::span<params> dp, const Pass& pass) const {
    const view<T> rows = kernels::spread_block(c.rows, outputs());
    const view<T> drows = kernels::resize_spread(c.drows, g.slots(), outputs());
    const view<const T> upstream = view_of(dy);
    T* const dlogits = c.dlogits.resize(1, g.slots()).data;
    detail::for_each_row(pass.executor, g.slots(), [&](index s) {
      kernels::scale_row(c.weights(0, s), upstream.row(s), drows.row(s), drows.cols);
      dlogits[s] = kernels::dot_row(upstream.row(s), rows.row(s), rows.cols) * sigmoid{}.derivative(c.logits(0, s));
    });
    for_each_expert(g, pass, [&](index e, const row_groups& alone, const Pass& of_expert) {
      const params& mine = p[static_cast<std::size_t>(e)];
      const view<const T> source = g.source(view_of(x), e);
      const view<T> dx_rows = g.slice(view_of(dx), e);
      const T* const dlogit = dlogits + g.offsets[e];
      auto d_expert = dp.empty() ? std::span<typename Expert::params>{}
                                 : std::span<typename Expert::params>(&dp[static_cast<std::size_t>(e)].expert, 1);
      backward_experts(expert, std::span<const typename Expert::params>(&mine.expert, 1), alone, in<T>(map_of(source)),
                       g.slice(drows, e), c.each[e], dx_rows, d_expert, of_expert);
      detail::for_each_row(pass.executor, g.size(e), [&](index i) {
        kernels::axpy_row(dlogit[i], mine.gate_weight.data(), dx_rows.row(i), dx_rows.cols);
      });
      if (dp.empty()) return;
      T* const dw = dp[static_cast<std::size_t>(e)].gate_weight.data();
      for (index i = 0; i < g.size(e); ++i)
        kernels::axpy_row(dlogit[i], source.row(alone.rows ? alone.rows[i] : i), dw, dx_rows.cols);
    });
  }

  /// What packed_layer takes of the shared expert beside the gated one: w, and sigmoid(x w') for each slot of a group.
  [[nodiscard]] static const matrix<T>& gate_of(const params& p) { return p.gate_weight; }
  template <class Executor>
  static void weigh_rows(const T* gate_weight, const row_groups& g, view<const T> x, T* logits, T* weights,
                         const Executor& executor) {
    detail::for_each_row(executor, g.slots(), [&](index s) {
      logits[s] = kernels::dot_row(x.row(g.rows ? g.rows[s] : s), gate_weight, x.cols);
    });
    kernels::activate<xsimd::default_arch, T>(view<const T>(logits, 1, g.slots()), view<T>(weights, 1, g.slots()),
                                              sigmoid{});
  }

  void forward(const params& p, in<T> x, out<T> y, cache& c) const { forward_block(*this, p, x, y, c); }
  void backward(const params& p, in<T> x, in<T> dy, cache& c, out<T> dx, params& dp) const {
    backward_block(*this, p, x, dy, c, dx, dp);
  }

 private:
  /// f(e, a group of expert e alone, its pass) for each expert that has slots.
  template <class Pass, class F>
  static void for_each_expert(const row_groups& g, const Pass& pass, const F& f) {
    for (index e = 0; e < g.count; ++e) {
      if (g.size(e) == 0) continue;
      const index offsets[2] = {0, g.size(e)};
      Pass of_expert = pass;
      of_expert.random = pass.random.channel(static_cast<std::uint64_t>(e));
      f(e, row_groups{1, offsets, g.rows_of(e)}, of_expert);
    }
  }
};

template <class Expert>
sigmoid_gated(Expert) -> sigmoid_gated<Expert>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
