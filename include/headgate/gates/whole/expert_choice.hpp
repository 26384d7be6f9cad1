// SPDX-License-Identifier: BSD-3-Clause
// Experts that choose their tokens (Zhou et al. 2022, arXiv:2202.09368).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/gates/gate.hpp>
#include <headgate/gates/row_memory.hpp>
#include <headgate/gates/score/softmax.hpp>
#include <headgate/gates/select/all_experts.hpp>
#include <headgate/gates/weigh/raw.hpp>
#include <headgate/gates/whole/inner_gate.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/capacity.hpp>
#include <headgate/routing/routing.hpp>
#include <headgate/routing/steering.hpp>

#include <algorithm>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Each expert takes the c tokens of the batch that score highest with it, so that all experts have as many:
///
///   S = softmax(head(x))                        over the experts of each token    (tokens x experts)
///   expert e takes the c largest of S_1e, S_2e, ...,  with the weights S_te       (ibid., eq. 2; G and I)
///   c = capacity.limit(tokens, experts) = factor * tokens / experts               (ibid., eq. 1)
///
/// The default factor 2 is the paper's: two experts a token on average. A token may have from none to all. What is no
/// whole number is rounded up, as in V-MoE's code, at least to 1 and at most to all tokens; the paper does not say. The
/// paper's variant with at most so many experts for each token is a linear program that is solved by iterations, and is
/// not here: to drop a token's surplus afterwards would leave places empty that it fills.
///
/// THE WHOLE BATCH DECIDES: a token's experts depend on all other tokens, in evaluation too, and so on later tokens of
/// its own text. That is not causal: not for a decoder that generates. On several ranks each lets the experts choose
/// among its own tokens.
///
/// Ties go to the lower token, and a token's assignments come by ascending expert, so that none is its first choice. No
/// balance loss is needed. Tokens that do not count are never chosen and not counted for c: those of `steering::mask`,
/// and those all of whose logits are -infinity. An expert is never given a token it is off for; it may then find fewer
/// than c. Steering can switch experts and tokens off, no more. Selection carries no gradient; `Score` and `Weigh` are
/// those of `gate`.
template <class Head, class Score = softmax, class Weigh = raw>
struct expert_choice {
  static_assert(
      !requires { typename Score::cache; }, "expert_choice: Score must look at the logits alone");
  using scalar = typename Head::scalar;
  using T = scalar;

  HEADGATE_NO_UNIQUE_ADDRESS Head head{};
  HEADGATE_NO_UNIQUE_ADDRESS Score score{};
  HEADGATE_NO_UNIQUE_ADDRESS Weigh weigh{};
  headgate::capacity capacity{.factor = 2};  ///< of each expert; its `drop` and `of` say nothing here

 private:
  using inner_gate = gate<Head, Score, all_experts, Weigh>;
  struct column_memory {
    scratch<T> scores;  // (1 x tokens): an expert's column
    array<index> on;    // the tokens that it may take

    void resize(index tokens) {
      scores.resize(1, tokens);
      on.resize_for_overwrite(tokens);
    }
  };

 public:
  using params = typename inner_gate::params;
  struct cache {
    typename inner_gate::cache gate;
    detail::chosen_experts<T> chosen;
    scratch<T> scores;            // (tokens x experts)
    scratch<bool> takes;          // (tokens x experts)
    array<column_memory> memory;  // one for each worker
    array<index> ids;             // (experts)
  };
  static constexpr auto fields = inner_gate::fields;
  static constexpr bool steerable = true;  // as far as experts and tokens that are off

  [[nodiscard]] index model() const { return head.model; }
  [[nodiscard]] index experts() const { return head.experts; }

  /// Refuses sizes and options that make no sense.
  void check() const {
    stages().check();
    capacity.check();
  }

  [[nodiscard]] params init(std::mt19937_64& generator) const { return stages().init(generator); }

  template <class Executor>
  void route(const params& p, in<T> x, routing<T>& r, cache& c, const pass<T, Executor>& pass) const {
    check();
    if (x.cols() != model())
      refuse("expert_choice::route: x has ", x.cols(), " columns, the gate was built for model = ", model());
    if (pass.steering != nullptr) pass.steering->check_switches_only("expert_choice", x.rows(), experts());
    const inner_gate inner = stages();
    detail::route_head(inner, p, x, r, c.gate, pass);
    choose(r, c, pass.executor);
    c.chosen.route(inner, p, x, r, c.gate, pass);
  }

  /// Adds to dx and dp the gradient of the record: of its weights, scores and logits.
  template <class Executor>
  void backward(const params& p, in<T> x, const routing<T>& r, cache& c, routing_gradient<T>& d, out<T> dx, params& dp,
                const pass<T, Executor>& pass) const {
    stages().backward(p, x, r, c.gate, d, dx, dp, pass);
  }

 private:
  [[nodiscard]] inner_gate stages() const { return {head, score, {}, weigh}; }

  template <class Executor>
  void choose(const routing<T>& r, cache& c, const Executor& executor) const {
    const view<const T> z = r.logits.block();
    const view<T> s = c.scores.resize(r.tokens, experts());
    const view<bool> takes = c.takes.zero(r.tokens, experts());
    const index rows = detail::rows_of(detail::elements_per_task, experts());
    executor.run((r.tokens + rows - 1) / rows, [&](index task, index) {
      const index first = task * rows, count = (std::min)(rows, r.tokens - first);
      score.forward(z.middle_rows(first, count), s.middle_rows(first, count));
    });
    index tokens = 0;
    for (index t = 0; t < r.tokens; ++t)
      tokens += std::all_of(z.row(t), z.row(t) + experts(), kernels::is_minus_infinity<T>) ? 0 : 1;
    const index each = capacity.limit(tokens, experts());
    if (const index workers = executor.workers(); c.memory.size() < workers) c.memory.resize(workers);
    for (column_memory& memory : c.memory) memory.resize(r.tokens);  // also of a worker that has no task in this pass
    executor.run(experts(), [&](index e, index worker) { choose_tokens(z, s, e, each, takes, c.memory[worker]); });

    c.chosen.start(experts());
    c.ids.resize(experts());
    for (index t = 0; t < r.tokens; ++t) {
      index count = 0;
      for (index e = 0; e < experts(); ++e)
        if (takes(t, e)) c.ids[count++] = e;
      c.chosen.add(c.ids.data(), count);
    }
  }

  /// Marks the tokens that expert e takes.
  static void choose_tokens(view<const T> z, view<const T> s, index e, index each, view<bool> takes,
                            column_memory& memory) {
    T* const column = memory.scores.data();  // side by side: the selection looks at each several times
    index count = 0;
    for (index t = 0; t < s.rows; ++t) {
      column[t] = s(t, e);
      if (!kernels::is_minus_infinity(z(t, e))) memory.on[count++] = t;
    }
    index* const on = memory.on.data();
    const index taken = (std::min)(each, count);
    if (taken < count)
      std::nth_element(on, on + taken, on + count, [column](index a, index b) {
        return column[a] > column[b] || (!(column[a] < column[b]) && a < b);
      });
    for (index i = 0; i < taken; ++i) takes(on[i], e) = true;
  }
};

template <class Head>
expert_choice(Head) -> expert_choice<Head>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
