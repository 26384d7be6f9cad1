// SPDX-License-Identifier: BSD-3-Clause
// The low-rank expert (Hu et al. 2021, arXiv:2106.09685, eq. 3; as an expert: AdaMoLE, Liu & Luo 2024,
// arXiv:2405.00361, eq. 2).
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
#include <headgate/kernels/blocking.hpp>

#include <cmath>
#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {

/// y = (alpha / rank) dropout(x) down' up'
///
/// down (rank x model) starts uniform in +-1/sqrt(model) (Kaiming with a = sqrt 5), up (outputs x rank) at zero, so a
/// fresh layer of LoRA experts beside a frozen base computes the base exactly. Dropout (the paper's runs use 0.05, the
/// default here is none) acts in training only, with one mask for each token and expert.
template <std::floating_point T, index Model = dynamic, index Outputs = dynamic, index Rank = dynamic>
struct lora_expert {
  using scalar = T;
  struct params {
    weights<T> down, up;
    matrix<T> none;  // stands for the bias that a low-rank map does not have
  };
  struct cache {
    scratch<T> kept;    // (slots x model), x after dropout; unused without it
    scratch<T> inner;   // (slots x rank), (alpha / rank) x down'
    scratch<T> dinner;  // (slots x rank)
    bool dropped = false;
    random_stream random;
    headgate::projection<T, params> projection;
  };
  static constexpr auto fields = std::tuple{field{"down", &params::down}, field{"up", &params::up}};

  HEADGATE_NO_UNIQUE_ADDRESS extent<Model> model{};
  HEADGATE_NO_UNIQUE_ADDRESS extent<Outputs> outputs{};
  HEADGATE_NO_UNIQUE_ADDRESS extent<Rank> rank{};
  T alpha = T{16};
  T dropout = T{0};

  void check() const {
    check_positive("lora_expert", "model", model);
    check_positive("lora_expert", "outputs", outputs);
    check_positive("lora_expert", "rank", rank);
    if (!std::isfinite(alpha)) refuse("lora_expert: alpha is ", alpha, ", it must be finite");
    if (!(dropout >= 0 && dropout < 1)) refuse("lora_expert: dropout is ", dropout, ", it must lie in [0, 1)");
  }

  /// Refuses parameters of other shapes, before a layer is made of them.
  void check(const params& p) const {
    check_shape("lora_expert", "down", p.down, rank, model);
    check_shape("lora_expert", "up", p.up, outputs, rank);
    check_shape("lora_expert", "none", p.none, 0, 0);
  }

  [[nodiscard]] params init(std::mt19937_64& generator) const {
    return {random_uniform<T>(rank, model, generator, T{1} / std::sqrt(static_cast<T>(index{model}))),
            matrix<T>::Zero(outputs, rank),
            {}};
  }

  template <class Pass>
  void forward(std::span<const params> p, const row_groups& g, in<T> x, out<T> y, cache& c, const Pass& pass) const {
    const view<T> inner = kernels::resize_spread(c.inner, g.slots(), rank);
    const row_groups slots{g.count, g.offsets};
    const auto scale = scaled_into(g, inner);
    c.dropped = pass.training && dropout > 0;
    if (c.dropped) {
      c.random = pass.random;
      c.kept.resize(g.slots(), model);
      for_each_mask(g, c, [&](index s, index row, index i, T factor) { c.kept(s, i) = x(row, i) * factor; });
      c.projection.forward(p, slots, c.kept.block(), &params::down, &params::none, inner, pass, scale);
    } else {
      c.projection.forward(p, g, view_of(x), &params::down, &params::none, inner, pass, scale);
    }
    c.projection.forward(p, slots, inner, &params::up, &params::none, view_of(y), pass);
  }

  template <class Pass>
  void backward(std::span<const params> p, const row_groups& g, in<T> x, in<T> dy, cache& c, out<T> dx,
                std::span<params> dp, const Pass& pass) const {
    const view<T> dinner = kernels::resize_spread(c.dinner, g.slots(), rank);
    const row_groups slots{g.count, g.offsets};
    c.projection.backward_weight(dp, slots, view_of(dy), kernels::spread_block(c.inner, rank), &params::up,
                                 &params::none, pass);
    c.projection.backward_input(p, slots, view_of(dy), &params::up, dinner, pass, scaled_into(g, dinner));
    if (c.dropped)
      c.projection.backward_weight(dp, slots, dinner, c.kept.block(), &params::down, &params::none, pass);
    else
      c.projection.backward_weight(dp, g, dinner, view_of(x), &params::down, &params::none, pass);
    c.projection.backward_input(p, slots, dinner, &params::down, view_of(dx), pass);
    if (c.dropped) for_each_mask(g, c, [&](index s, index, index i, T factor) { dx(s, i) *= factor; });
  }

  /// What packed_layer takes apart (concept `packable_expert`); in evaluation there is no dropout.
  [[nodiscard]] static kernels::product<T> input_projection(const params& p) {
    return kernels::of_weight<T>(view_of(p.down));
  }
  [[nodiscard]] static kernels::product<T> output_projection(const params& p) {
    return kernels::of_weight<T>(view_of(p.up));
  }
  template <class V>
  [[nodiscard]] V activate(const V& sum) const {
    return sum * V(alpha / static_cast<T>(index{rank}));
  }

  void forward(const params& p, in<T> x, out<T> y, cache& c) const { forward_block(*this, p, x, y, c); }
  void backward(const params& p, in<T> x, in<T> dy, cache& c, out<T> dx, params& dp) const {
    backward_block(*this, p, x, dy, c, dx, dp);
  }

 private:
  /// The finish that writes (alpha / rank) times the sums.
  [[nodiscard]] auto scaled_into(const row_groups& g, view<T> to) const {
    return [this, &g, to](index e, index row, index panel, const auto& low, const auto& high) {
      const index lanes = static_cast<index>(low.size);
      T* const at = to.row(g.offsets[e] + row) + 2 * panel * lanes;
      this->activate(low).store_unaligned(at);
      this->activate(high).store_unaligned(at + lanes);
    };
  }

  /// f(slot, row of x, column, 0 or 1 / (1 - dropout)). The mask depends on the token's row and the expert alone.
  template <class F>
  void for_each_mask(const row_groups& g, const cache& c, const F& f) const {
    const T kept = T{1} / (T{1} - dropout);
    for (index e = 0; e < g.count; ++e) {
      const random_stream stream = c.random.channel(static_cast<std::uint64_t>(e) + 1);
      for (index s = g.offsets[e]; s < g.offsets[e + 1]; ++s) {
        const index row = g.rows ? g.rows[s] : s;
        for (index i = 0; i < model; ++i)
          f(s, row, i, uniform(stream, row, i) < static_cast<double>(dropout) ? T{0} : kept);
      }
    }
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
