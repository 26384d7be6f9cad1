// SPDX-License-Identifier: BSD-3-Clause
// Random second experts (Lepikhin et al. 2020, arXiv:2006.16668, Algorithm 1; Zoph et al. 2022, arXiv:2202.08906,
// place not checked).
#pragma once

#include <headgate/concepts/gate_policy.hpp>
#include <headgate/concepts/policy_sizes.hpp>
#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/gates/whole/inner_gate.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/routing.hpp>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {

/// A gate of four stages whose selection does not say that it names the best first.
template <class Gate>
inline constexpr bool lists_by_index = requires(const Gate g) {
  requires !selects_best_first<std::remove_cvref_t<decltype(g.select)>>;
};

}  // namespace detail

/// A gate whose assignments after each token's first are dropped at random in training:
///
///   the n-th assignment of token t, n >= 1, of weight w, stays if w > threshold u_tn, u uniform on (0, 1):
///   with probability min(1, w / threshold)
///
/// The weights are those that `gate` computed with all of them: the first keeps its share, and what is dropped adds
/// nothing and receives no gradient. In evaluation, and where the steering forces experts, nothing is dropped. The gate must
/// say that it lists a token's assignments best first, as gates of `top_k` do; after `renormalised` w is the second gate's
/// share of the two. threshold = 0.2 is ST-MoE's, 0.5 GShard's (2 w > u). The random numbers of a token belong to its row.
///
/// A capacity's factor counts the assignments that stay, and so do the losses, except `load_balance`: it is of the gate's
/// own choice, which the record keeps (`routing::chosen`).
///
///   hg::random_second<hg::renormalised_topk_gate<float>>{.gate = {.head = {...}, .select = {.k = 2}}}
template <class Gate>
struct random_second {
  static_assert(trainable_gate<Gate>,
                "random_second: Gate does not model headgate::trainable_gate (docs/writing-a-gate.md)");
  static_assert(!detail::lists_by_index<Gate>,
                "random_second: Gate's selection does not name the best expert first (docs/writing-a-gate.md)");
  using scalar = typename Gate::scalar;
  using T = scalar;

  HEADGATE_NO_UNIQUE_ADDRESS Gate gate{};
  double threshold = 0.2;

  using params = typename Gate::params;
  struct cache {
    typename Gate::cache gate;
    bool dropped = false;  // whether the last pass was one that drops: the rest is of that pass
    routing<T> all;        // what the gate decided
    array<index> kept;     // which of its assignments stay
    array<index> seen;     // (tokens): assignments so far
    scratch<T> weights;    // dL/d(weight) of those that stay
  };
  static constexpr auto fields = Gate::fields;
  static constexpr bool steerable = requires { requires Gate::steerable; };  // the inner gate does it

  [[nodiscard]] index model() const { return model_of(gate); }
  [[nodiscard]] index experts() const { return experts_of(gate); }

  /// Refuses sizes and options that make no sense.
  void check() const {
    if (!(threshold > 0 && std::isfinite(threshold)))
      refuse("random_second: threshold is ", threshold, ", it must be finite and greater than 0");
    detail::check_inner(gate);
  }

  [[nodiscard]] params init(std::mt19937_64& generator) const { return gate.init(generator); }

  template <class Executor>
  void route(const params& p, in<T> x, routing<T>& r, cache& c, const pass<T, Executor>& pass) const {
    check();
    c.dropped = pass.training && (pass.steering == nullptr || pass.steering->forced == nullptr);
    if (!c.dropped) return detail::route_inner(gate, p, x, r, c.gate, pass);

    detail::route_inner(gate, p, x, c.all, c.gate, pass);
    if (!c.all.best_first && !c.all.assignments.empty())
      refuse(
          "random_second: the gate does not say that it lists a token's experts best first "
          "(routing::best_first, docs/writing-a-gate.md)");
    r.reset(x.rows(), experts());
    r.scores_are = c.all.scores_are;
    r.best_first = c.all.best_first;
    const array<assignment<T>>& chosen = c.all.chosen.empty() ? c.all.assignments : c.all.chosen;
    r.chosen.resize_for_overwrite(chosen.size());
    std::copy(chosen.begin(), chosen.end(), r.chosen.begin());
    detail::for_each_block(
        [](const char*, const scratch<T>& from, scratch<T>& to) {
          std::copy_n(from.data(), from.size(), to.resize(from.rows(), from.cols()).data);
        },
        std::as_const(c.all), r);
    drop(r, c, pass.random.channel(~std::uint64_t{1}));
  }

  /// Adds to dx and dp the gradient of the record.
  template <class Executor>
  void backward(const params& p, in<T> x, const routing<T>& r, cache& c, routing_gradient<T>& d, out<T> dx, params& dp,
                const pass<T, Executor>& pass) const {
    if (!c.dropped) return detail::backward_inner(gate, p, x, r, c.gate, d, dx, dp, pass);
    std::swap(c.weights, d.weights);
    d.weights.zero(c.all.assignments.size(), 1);
    for (index i = 0; i < c.kept.size(); ++i) d.weights(c.kept[i], 0) = c.weights(i, 0);
    detail::backward_inner(gate, p, x, c.all, c.gate, d, dx, dp, pass);
    std::swap(c.weights, d.weights);
  }

 private:
  void drop(routing<T>& r, cache& c, const random_stream& numbers) const {
    const index count = c.all.assignments.size();
    r.assignments.resize_for_overwrite(count);
    c.kept.resize_for_overwrite(count);
    c.seen.assign(r.tokens, 0);
    index kept = 0;
    for (index a = 0; a < count; ++a) {
      const assignment<T>& one = c.all.assignments[a];
      if (one.token >= 0 && one.token < r.tokens) {  // the plan refuses what is not
        const index place = c.seen[one.token]++;
        if (place > 0 && !(static_cast<double>(one.weight) > threshold * uniform(numbers, one.token, place))) continue;
      }
      r.assignments[kept] = one;
      c.kept[kept++] = a;
    }
    r.assignments.resize(kept);
    c.kept.resize(kept);
  }
};

template <class Gate>
random_second(Gate) -> random_second<Gate>;
template <class Gate>
random_second(Gate, double) -> random_second<Gate>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
