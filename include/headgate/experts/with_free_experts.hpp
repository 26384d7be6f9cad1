// SPDX-License-Identifier: BSD-3-Clause
// Experts that cost nothing beside those that compute: the identity and zero experts of LongCat-Flash (Meituan 2025,
// arXiv:2509.01322) and MoE++ (Jin et al. 2024, arXiv:2410.07348).
#pragma once

#include <headgate/concepts/expert_policy.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/experts/expert_bank.hpp>
#include <headgate/experts/one_block.hpp>
#include <headgate/routing/combine.hpp>  // for_each_row

#include <algorithm>
#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The last `identities + zeros` experts of a layer have no parameters: first those that return their input, then those that
/// return zero. The experts before them are Expert's. Routing, losses and counts see no difference.
///
/// How many slots reach Expert depends on the routing, so a later batch may allocate, as with a capacity.
template <class Expert>
struct with_free_experts {
  static_assert(expert_policy<Expert>,
                "with_free_experts: Expert does not model headgate::expert_policy (docs/writing-an-expert.md)");

  using scalar = typename Expert::scalar;
  using T = scalar;
  using params = typename Expert::params;
  using cache = expert_bank_cache<Expert>;
  static constexpr auto fields = Expert::fields;
  static constexpr bool frozen_parameters = is_frozen<Expert>;

  HEADGATE_NO_UNIQUE_ADDRESS Expert expert{};
  index identities = 0;
  index zeros = 0;

  [[nodiscard]] index model() const { return model_of(expert); }
  [[nodiscard]] index outputs() const { return outputs_of(expert); }
  void check() const {
    if constexpr (requires { expert.check(); }) expert.check();
    if (identities < 0 || zeros < 0)
      refuse("with_free_experts: identities is ", identities, " and zeros ", zeros, ", they must be at least 0");
    if (identities > 0 && outputs() != model())
      refuse("with_free_experts: an identity has outputs = model = ", model(),
             ", the other experts have outputs = ", outputs());
  }
  /// Refuses parameters of other shapes, before a layer is made of them.
  void check(const params& p) const requires requires(const Expert& e) { e.check(p); }
  { expert.check(p); }
  [[nodiscard]] params init(std::mt19937_64& generator) const { return expert.init(generator); }

  /// How many of a layer's experts have parameters (`parameterised_of`).
  [[nodiscard]] index parameterised(index experts) const { return experts - identities - zeros; }
  /// Whether the expert so many places behind the last one with parameters returns its input; else it returns zero.
  [[nodiscard]] bool returns_input(index place) const { return place < identities; }

  template <class Pass>
  void forward(std::span<const params> p, const row_groups& g, in<T> x, out<T> y, cache& c, const Pass& pass) const {
    const row_groups computing = computing_of(p, g);
    const view<T> rows = view_of(y);
    forward_experts(expert, p, computing, x, rows.middle_rows(0, computing.slots()), c, pass);
    const view<const T> from = view_of(x);
    for_each_free_slot(computing, g, pass, [&](index s, bool is_identity) {
      if (is_identity)
        std::copy_n(from.row(g.rows ? g.rows[s] : s), rows.cols, rows.row(s));
      else
        std::fill_n(rows.row(s), rows.cols, T{0});
    });
  }

  template <class Pass>
  void backward(std::span<const params> p, const row_groups& g, in<T> x, in<T> dy, cache& c, out<T> dx,
                std::span<params> dp, const Pass& pass) const {
    const row_groups computing = computing_of(p, g);
    const view<T> rows = view_of(dx);
    const view<const T> upstream = view_of(dy);
    backward_experts(expert, p, computing, x, upstream.middle_rows(0, computing.slots()), c,
                     rows.middle_rows(0, computing.slots()), dp, pass);
    for_each_free_slot(computing, g, pass, [&](index s, bool is_identity) {
      if (is_identity)
        std::copy_n(upstream.row(s), rows.cols, rows.row(s));
      else
        std::fill_n(rows.row(s), rows.cols, T{0});
    });
  }

  /// What packed_layer takes apart, where Expert has it (concept `packable_expert`).
  [[nodiscard]] auto input_projection(const params& p) const requires requires(const Expert& e) {
    e.input_projection(p);
  }
  { return expert.input_projection(p); }
  [[nodiscard]] auto output_projection(const params& p) const requires packable_expert<Expert> {
    return expert.output_projection(p);
  }
  template <class... V>
  [[nodiscard]] auto activate(const V&... sums) const requires requires(const Expert& e) {
    e.activate(sums...);
  }
  { return expert.activate(sums...); }

  void forward(const params& p, in<T> x, out<T> y, cache& c) const { forward_block(*this, p, x, y, c); }
  void backward(const params& p, in<T> x, in<T> dy, cache& c, out<T> dx, params& dp) const {
    backward_block(*this, p, x, dy, c, dx, dp);
  }

 private:
  static row_groups computing_of(std::span<const params> p, const row_groups& g) {
    return {static_cast<index>(p.size()), g.offsets, g.rows};
  }

  /// f(slot, whether its expert returns its input) for the slots of experts without parameters.
  template <class Pass, class F>
  void for_each_free_slot(const row_groups& computing, const row_groups& g, const Pass& pass, const F& f) const {
    for (index e = computing.count; e < g.count; ++e)
      detail::for_each_row(pass.executor, g.size(e), [&, is_identity = returns_input(e - computing.count)](index i) {
        f(g.offsets[e] + i, is_identity);
      });
  }
};

template <class Expert>
with_free_experts(Expert, index) -> with_free_experts<Expert>;
template <class Expert>
with_free_experts(Expert, index, index) -> with_free_experts<Expert>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
