// SPDX-License-Identifier: BSD-3-Clause
// SparseMixer-v2 (Liu, Dong, Liu, Yu, Gao 2023, arXiv:2310.00811), the top-2 gate of Phi-3.5-MoE (Abdin et al. 2024,
// arXiv:2404.14219).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/gates/row_memory.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/gates/weighing.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/kernels/softmax.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/routing.hpp>
#include <headgate/routing/steering.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Two rounds over the logits s = head(x), each of which picks one expert; the second leaves out the first's choice e1.
///
///   m = max_j s_j                                                 over the experts that are left
///   g = softmax of the s_j with (m - s_j) / max(|s_j|, m) <= 2 jitter, of those that are left; the others get 0
///   e = argmax_j s_j,                  w = g_e                    in evaluation
///   e = argmax_j log g_j + Gumbel_tj,  w = g_e c                  in training: e is drawn from g;
///                                      c = 1 if e = argmax_j s_j or u_t > 3/4, else 1/3
///   ds += dw g_e (onehot(e) - g)                                  both: c is not in it
///
/// The two weights are not renormalised. In evaluation ds is the gradient; in training it is Heun's third-order estimate
/// of that of the expected output (ibid., section 3). c is the formula's 1/3, where the published code multiplies by
/// 0.3333: the estimate is of third order only for the exact number, and evaluation does not see it.
///
/// Logits of -inf switch an expert off: it is never picked. A round to which no expert is left gives no assignment, so a
/// token has two, one or none. NaN and +inf are refused. The random numbers of a token belong to its
/// row. Balance losses read softmax(s).
template <class Head>
struct sparsemixer {
  using scalar = typename Head::scalar;
  using T = scalar;

  HEADGATE_NO_UNIQUE_ADDRESS Head head{};
  T jitter = T(0.01);  ///< Phi's router_jitter_noise

  struct params {
    typename Head::params head;
  };
  struct cache {
    typename Head::cache head;
    array<index> first;                   // (tokens + 1): assignments of token t are [first[t], first[t + 1])
    array<detail::row_memory<T>> memory;  // one for each worker
  };
  static constexpr auto fields = detail::stage_field<Head, params>(&params::head);

  static constexpr bool steerable = true;  // as far as experts that are off; see `steer`

  [[nodiscard]] index model() const { return head.model; }
  [[nodiscard]] index experts() const { return head.experts; }

  /// Refuses sizes and options that make no sense.
  void check() const {
    check_positive("sparsemixer", "model", model());
    if (experts() < rounds) refuse("sparsemixer: experts is ", experts(), ", it must be at least ", rounds);
    if (!(jitter >= T{0} && kernels::is_finite(jitter)))
      refuse("sparsemixer: jitter is ", jitter, ", it must be finite and at least 0");
    detail::check_stage(head, gate_shape{model(), experts()});
  }

  [[nodiscard]] params init(std::mt19937_64& generator) const { return {head.init(generator)}; }

  template <class Executor>
  void route(const params& p, in<T> x, routing<T>& r, cache& c, const pass<T, Executor>& pass) const {
    check();
    if (x.cols() != model())
      refuse("sparsemixer::route: x has ", x.cols(), " columns, the gate was built for model = ", model());
    r.reset(x.rows(), experts());
    head.forward(p.head, x, r, c.head, pass);
    if (pass.steering != nullptr) steer(*pass.steering, r);
    r.scores_are = score_kind::logits;
    r.best_first = true;  // round by round
    r.assignments.resize_for_overwrite(rounds * r.tokens);
    c.first.resize(r.tokens + 1);
    for (index t = 0; t <= r.tokens; ++t) c.first[t] = rounds * t;
    for_each_row(r.tokens, c, pass.executor, [&](index t, detail::row_memory<T>& memory) {
      const view<const T> z = view<const T>(r.logits.block()).middle_rows(t, 1);
      if (memory.first_bad_logit(z) >= 0) return memory.refuse_token(t);
      route_row(r, t, pass.training, pass.random, memory.row.data());
    });
    index refused = -1;
    bool some_are_off = false;
    for (const detail::row_memory<T>& memory : c.memory) {
      if (memory.refused >= 0 && (refused < 0 || memory.refused < refused)) refused = memory.refused;
      some_are_off = some_are_off || memory.any_off;
    }
    if (refused >= 0) refuse_token(r, refused);
    if (some_are_off) detail::drop_those_off(r, c.first);
  }

  /// Adds to dx and dp the gradient of the record: of its weights and logits.
  template <class Executor>
  void backward(const params& p, in<T> x, const routing<T>& r, cache& c, routing_gradient<T>& d, out<T> dx, params& dp,
                const pass<T, Executor>& pass) const {
    for_each_row(r.tokens, c, pass.executor, [&](index t, detail::row_memory<T>& memory) {
      T* const g = memory.row.data();
      T* const ds = d.logits.row(t);
      index taken = -1;
      for (index a = c.first[t]; a < c.first[t + 1]; ++a) {
        const T* const s = r.logits.row(t);
        normalise(g, leave_near(s, taken, g));
        taken = r.assignments[a].expert;
        const T share = d.weights(a, 0) * g[taken];
        ds[taken] += share;
        for (index e = 0; e < experts(); ++e) ds[e] -= share * g[e];
      }
    });
    head.backward(p.head, x, r, d, c.head, dx, dp.head, pass);
  }

 private:
  static constexpr index rounds = 2;
  static constexpr T off = -std::numeric_limits<T>::infinity();

  /// Experts can be switched off. The two rounds are the gate: it has no other k, no ranks, and no weight for an expert that
  /// is not its choice.
  void steer(const steering<T>& how, routing<T>& r) const {
    how.check_switches_only("sparsemixer", r.tokens, experts());
    how.switch_off(r.logits.block());
  }

  /// A stream for each round, and none that an expert or another gate takes.
  static random_stream of_round(const random_stream& random, index round) {
    return random.channel(~std::uint64_t{0}).channel(static_cast<std::uint64_t>(round));
  }

  template <class Executor, class F>
  void for_each_row(index tokens, cache& c, const Executor& executor, const F& f) const {
    if (const index workers = executor.workers(); c.memory.size() < workers) c.memory.resize(workers);
    for (detail::row_memory<T>& memory : c.memory) memory.reset(experts(), 0);
    const index rows = detail::rows_of(detail::elements_per_task, experts());
    executor.run((tokens + rows - 1) / rows, [&](index task, index worker) {
      const index last = (std::min)((task + 1) * rows, tokens);
      for (index t = task * rows; t < last; ++t) f(t, c.memory[worker]);
    });
  }

  void route_row(routing<T>& r, index t, bool training, const random_stream& random, T* g) const {
    index taken = -1;
    for (index round = 0; round < rounds; ++round) {
      const index best = leave_near(r.logits.row(t), taken, g);
      const random_stream numbers = training ? of_round(random, round) : random_stream{};
      taken = training ? draw(g, best, numbers, t) : best;
      normalise(g, best);
      // Column `experts` is the first that no expert's number stands in.
      const bool whole = !training || taken == best || uniform(numbers, t, experts()) > 0.75;
      r.assignments[rounds * t + round] = {t, taken, whole ? g[taken] : g[taken] * (T{1} / T{3})};
    }
  }

  /// s of the experts near the largest one in g, -inf of the others and of the one taken before. Returns the largest's index.
  index leave_near(const T* s, index taken, T* g) const {
    const index n = experts();
    index best = taken == 0 ? 1 : 0;
    for (index e = best + 1; e < n; ++e)
      if (e != taken && s[e] > s[best]) best = e;
    const T largest = s[best], most = T{2} * jitter;
    for (index e = 0; e < n; ++e) {
      // A NaN (0 / 0, or an expert that is off) is not above the threshold.
      const bool distant = (largest - s[e]) / (std::max)(std::abs(s[e]), largest) > most;
      g[e] = e == taken || distant ? off : s[e];
    }
    return best;
  }

  /// An expert by the probabilities softmax(g): the Gumbel-max trick.
  index draw(const T* g, index best, const random_stream& numbers, index t) const {
    index drawn = best;
    double most = -std::numeric_limits<double>::infinity();
    for (index e = 0; e < experts(); ++e) {
      if (g[e] == off) continue;
      const double value = static_cast<double>(g[e]) + gumbel(numbers, t, e);
      if (value > most) most = value, drawn = e;
    }
    return drawn;
  }

  /// g = softmax(g), zeros where no expert is left.
  void normalise(T* g, index best) const {
    if (g[best] == off)
      std::fill_n(g, experts(), T{0});
    else
      kernels::softmax_row(static_cast<const T*>(g), g, experts());
  }

  [[noreturn]] void refuse_token(routing<T>& r, index t) const {
    r.assignments.clear();
    const index e = kernels::first_nan_or_plus_infinity_in_row(static_cast<const T*>(r.logits.row(t)), experts());
    refuse("sparsemixer::route: the router logit of token ", t, " for expert ", e, " is ", r.logits(t, e),
           ", logits must be finite or -inf");
  }
};

template <class Head>
sparsemixer(Head) -> sparsemixer<Head>;
template <class Head>
sparsemixer(Head, typename Head::scalar) -> sparsemixer<Head>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
