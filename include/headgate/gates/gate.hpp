// SPDX-License-Identifier: BSD-3-Clause
// A gate made of four stages: head, score, select, weigh.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/gates/row_memory.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/gates/steered_rows.hpp>
#include <headgate/gates/weighing.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/routing.hpp>

#include <algorithm>
#include <tuple>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// x (tokens x model)
///   -> head     z = logits                  (tokens x experts), e.g. `linear_head`
///   -> score    s = score(z), row by row                        e.g. `softmax`
///   -> select   the experts of each token, from its row of s    e.g. `top_k`
///   -> weigh    their combine weights, from their scores        e.g. `renormalised`
///
///   hg::gate{hg::linear_head<float>{.model = 64, .experts = 8}, hg::softmax{}, hg::top_k<>{.k = 2}, hg::renormalised{}}
///
/// Selection carries no gradient. A logit of -infinity switches its expert off for this token: it ranks below all others,
/// and has no assignment and no gradient, whatever the selection names. A token all of whose experts are off has no
/// assignment. NaN and +infinity are refused, with their place.
template <class Head, class Score, class Select, class Weigh>
struct gate {
  using scalar = typename Head::scalar;
  using T = scalar;

  HEADGATE_NO_UNIQUE_ADDRESS Head head{};
  HEADGATE_NO_UNIQUE_ADDRESS Score score{};
  HEADGATE_NO_UNIQUE_ADDRESS Select select{};
  HEADGATE_NO_UNIQUE_ADDRESS Weigh weigh{};

  struct params {
    typename Head::params head;
    HEADGATE_NO_UNIQUE_ADDRESS typename detail::params_of<Score>::type score;
    HEADGATE_NO_UNIQUE_ADDRESS typename detail::params_of<Select>::type select;
  };
  struct cache {
    typename Head::cache head;
    HEADGATE_NO_UNIQUE_ADDRESS typename detail::cache_of<Score>::type score;
    array<index> first;                   // (tokens + 1): assignments of token t are [first[t], first[t + 1])
    array<detail::row_memory<T>> memory;  // one for each worker
    detail::steered_memory<T> steered;
    bool some_are_off = false;  // a logit of the last pass was -inf
  };
  static constexpr auto fields = std::tuple_cat(detail::stage_field<Head, params>(&params::head),
                                                detail::stage_field<Score, params>(&params::score),
                                                detail::stage_field<Select, params>(&params::select));

  static constexpr bool steerable = true;  // it does what `pass::steering` says

  [[nodiscard]] index model() const { return head.model; }
  [[nodiscard]] index experts() const { return head.experts; }

  /// Refuses sizes and options that make no sense.
  void check() const {
    check_positive("gate", "model", model());
    check_positive("gate", "experts", experts());
    const gate_shape shape{model(), experts()};
    detail::check_stage(head, shape);
    detail::check_stage(score, shape);
    detail::check_stage(select, shape);
    detail::check_stage(weigh, shape);
  }

  [[nodiscard]] params init(std::mt19937_64& generator) const {
    const gate_shape shape{model(), experts()};
    params p;
    p.head = head.init(generator);
    p.score = detail::init_stage(score, shape, generator);
    p.select = detail::init_stage(select, shape, generator);
    return p;
  }

  /// Routes in evaluation: no noise, on the calling thread.
  void route(const params& p, in<T> x, routing<T>& r, cache& c) const {
    scratch<T> working_memory;
    route(p, x, r, c, pass<T>{run_sequentially, working_memory});
  }

  template <class Executor>
  void route(const params& p, in<T> x, routing<T>& r, cache& c, const pass<T, Executor>& pass) const {
    check();
    if (x.cols() != model())
      refuse("gate::route: x has ", x.cols(), " columns, the gate was built for model = ", model());
    r.reset(x.rows(), experts());
    head.forward(p.head, x, r, c.head, pass);
    route_logits(p, x, r, c, pass);
  }

  /// The stages after the head: fills the record from its logits (tokens x experts), which the caller has written.
  ///
  /// A block of rows goes through all stages while it lies in the nearest cache; a score that asks for the whole batch
  /// (one with a cache) comes before. Blocks are spread over the executor where the selection tells its `count`, so that
  /// the place of each token's assignments is known beforehand. Then stages are called by several threads at once, and
  /// must not throw.
  template <class Executor>
  void route_logits(const params& p, in<T> x, routing<T>& r, cache& c, const pass<T, Executor>& pass) const {
    check();
    if (r.logits.rows() != r.tokens || r.logits.cols() != experts())
      refuse("gate::route_logits: the record holds ", r.logits.rows(), " x ", r.logits.cols(), " logits, they must be ",
             r.tokens, " x ", experts());
    r.experts = experts();
    r.assignments.clear();
    r.chosen.clear();
    r.scores.resize(r.tokens, experts());
    r.scores_are = Score::kind;
    r.best_first = selects_best_first<Select>;
    c.steered.start(pass.steering);
    if (c.steered.used) pass.steering->check(r.tokens, experts());
    if (score_has_cache || c.steered.used)
      check_logits(r, kernels::first_nan_or_plus_infinity_in_row(r.logits.data(), r.logits.size()));
    if (c.steered.used) pass.steering->switch_off(r.logits.block());
    if constexpr (score_has_cache) score.forward(p.score, x, view_of_logits(r), r.scores.block(), c.score, pass);
    if (const index workers = pass.executor.workers(); c.memory.size() < workers) c.memory.resize(workers);
    const index ids_of_block = count_of_block(r.tokens);
    for (detail::row_memory<T>& memory : c.memory) memory.reset(experts(), ids_of_block);
    c.first.resize(r.tokens + 1);
    c.first[0] = 0;
    c.some_are_off = c.steered.used && kernels::first_not_finite(view_of_logits(r)) >= 0;
    if (c.steered.used) return route_steered(p, r, c, *pass.steering);
    if constexpr (count_is_known) {
      const index rows = detail::rows_of(detail::elements_per_task, experts());
      r.assignments.resize_for_overwrite(r.tokens * select.count(experts()));
      pass.executor.run((r.tokens + rows - 1) / rows, [&](index task, index worker) {
        route_rows(p, r, c, c.memory[worker], task * rows, (std::min)((task + 1) * rows, r.tokens));
      });
    } else {
      route_rows(p, r, c, c.memory[0], 0, r.tokens);
    }
    for (const detail::row_memory<T>& memory : c.memory) {
      if (memory.refused >= 0) explain_refusal(p, r, c);
      c.some_are_off = c.some_are_off || memory.any_off;
    }
    if (c.some_are_off) detail::drop_those_off(r, c.first);
  }

  /// Adds to dx and dp the gradient of the record: of its weights, scores and logits.
  template <class Executor>
  void backward(const params& p, in<T> x, const routing<T>& r, cache& c, routing_gradient<T>& d, out<T> dx, params& dp,
                const pass<T, Executor>& pass) const {
    if (!c.steered.weights_are_recorded) detail::weigh_backward(weigh, r, c.first.data(), c.memory[0], d);
    const view<const T> ds = d.scores.block();
    if constexpr (requires { typename Score::cache; })
      score.backward(p.score, x, r.logits.block(), r.scores.block(), ds, d.logits.block(), dx, dp.score, c.score, pass);
    else
      score.backward(r.logits.block(), r.scores.block(), ds, d.logits.block());
    if (c.some_are_off)  // what is off is no number that could move
      for (index i = 0; i < r.logits.size(); ++i)
        if (kernels::is_minus_infinity(r.logits.data()[i])) d.logits.data()[i] = T{0};
    head.backward(p.head, x, r, d, c.head, dx, dp.head, pass);
  }

 private:
  static constexpr bool score_has_cache = requires { typename Score::cache; };
  static constexpr bool count_is_known = requires(const Select& stage) { stage.count(index{}); };

  /// Experts that are selected in one block, beforehand: 0 where the selection does not tell.
  [[nodiscard]] index count_of_block(index tokens) const {
    if constexpr (count_is_known)
      return (std::min)(tokens, detail::rows_of(detail::elements_per_block, experts())) * select.count(experts());
    else
      return 0;
  }

  static view<const T> view_of_logits(const routing<T>& r) { return r.logits.block(); }

  static void check_logits(const routing<T>& r, index bad) {
    if (bad < 0) return;
    refuse("gate::route: the router logit of token ", bad / r.experts, " for expert ", bad % r.experts, " is ",
           r.logits.data()[bad], ", logits must be finite, or -inf for an expert that is switched off");
  }

  /// All that follows the head for the tokens [first, last). Stops at what is to be refused, and remembers the token.
  void route_rows(const params& p, routing<T>& r, cache& c, detail::row_memory<T>& memory, index first,
                  index last) const {
    const index rows = detail::rows_of(detail::elements_per_block, experts());
    for (; first < last; first += rows) {
      const index end = (std::min)(first + rows, last);
      const view<const T> z = view_of_logits(r).middle_rows(first, end - first);
      if (const index bad = memory.first_bad_logit(z); bad >= 0) return memory.refuse_token(first + bad / experts());
      if constexpr (!score_has_cache) score.forward(z, r.scores.block().middle_rows(first, end - first));
      if constexpr (count_is_known) {
        // Stage after stage, because each has its own chain of waiting operations, and the processor overlaps the more
        // rows the shorter that is: 8 experts take 15.6 ns a token where a row goes through all stages, and 10.
        const index count = select.count(experts());
        index* ids = memory.ids.data();
        for (index t = first; t < end; ++t, ids += count)
          if (select_row(p, r, t, ids, memory) != count) return memory.refuse_token(t);
        const index refused = detail::with_constant(count, [&](auto constant) {
          const index* named = memory.ids.data();
          for (index t = first; t < end; ++t, named += constant) {
            if (!memory.template names_once<Select>(t, named, constant, experts())) return t;
            detail::weigh_row(weigh, r, t, named, constant, memory, r.assignments.data() + t * constant);
            c.first[t + 1] = (t + 1) * constant;
          }
          return index{-1};
        });
        if (refused >= 0) return memory.refuse_token(refused);
      } else {
        index* const ids = memory.ids.data();
        for (index t = first; t < end; ++t) {
          const index count = select_row(p, r, t, ids, memory);
          if (!memory.template names_once<Select>(t, ids, count, experts())) return memory.refuse_token(t);
          const index before = r.assignments.size();
          r.assignments.resize_for_overwrite(before + count);
          detail::weigh_row(weigh, r, t, ids, count, memory, r.assignments.data() + before);
          c.first[t + 1] = before + count;
        }
      }
    }
  }

  index select_row(const params& p, const routing<T>& r, index token, index* ids, detail::row_memory<T>& memory) const {
    return select_from(select, p, memory.scores_to_select(r.logits.row(token), r.scores.row(token), experts()), ids,
                       memory);
  }
  index select_from(const Select& by, const params& p, const T* s, index* ids, detail::row_memory<T>& memory) const {
    if constexpr (requires { typename Select::params; })
      return by(p.select, s, experts(), ids, memory.row.data());
    else
      return by(s, experts(), ids);
  }

  /// All that follows the head, on the calling thread and not a template of the executor: compiled once for each gate.
  void route_steered(const params& p, routing<T>& r, cache& c, const steering<T>& how) const {
    if constexpr (!score_has_cache) score.forward(view_of_logits(r), r.scores.block());
    detail::row_memory<T>& memory = c.memory[0];
    const auto run = [&](const Select& by) {
      detail::check_stage(by, {model(), experts()});
      const auto choose = [&](const T* s, index* named) { return select_from(by, p, s, named, memory); };
      const auto weigh_one = [&](const index* named, index count, index token, assignment<T>* to) {
        detail::weigh_row(weigh, r, token, named, count, memory, to);
      };
      detail::steered_rows<T>(how, r, c.first, c.steered)
          .run(memory.ids.data(), memory.named_by.data(), choose, weigh_one);
    };
    if (how.k == 0 && how.skip == 0) return run(select);
    if constexpr (requires { select.with_k(index{}); })
      run(select.with_k(how.ranks(select.count(experts()), experts())));
    else
      refuse("steering: k is ", how.k, " and skip ", how.skip, ", but this gate's selection has no k of its own");
  }

  /// Says what is wrong with the first token that was refused. Leaves the record without assignments.
  void explain_refusal(const params& p, routing<T>& r, cache& c) const {
    index token = r.tokens;
    for (const detail::row_memory<T>& memory : c.memory)
      if (memory.refused >= 0) token = (std::min)(token, memory.refused);
    r.assignments.clear();
    detail::row_memory<T>& memory = c.memory[0];
    memory.reset(experts(), 0);
    const index bad = memory.first_bad_logit(view_of_logits(r).middle_rows(token, 1));
    check_logits(r, bad < 0 ? bad : token * experts() + bad);
    const index count = select_row(p, r, token, memory.ids.data(), memory);
    if (count < 0 || count > experts())
      refuse("gate::route: the selection names ", count, " experts for token ", token, ", the gate has ", experts());
    for (index i = 0; i < count; ++i) {
      const index e = memory.ids[i];
      if (e < 0 || e >= experts())
        refuse("gate::route: the selection names expert ", e, " for token ", token, ", the gate has ", experts());
      if (std::exchange(memory.named_by[e], token) == token)
        refuse("gate::route: the selection names expert ", e, " twice for token ", token);
    }
    if constexpr (count_is_known)
      refuse("gate::route: the selection names ", count, " experts for token ", token, ", it promised ",
             select.count(experts()));
    else
      refuse("gate::route: the selection names other experts for token ", token, " when asked again");
  }
};

template <class Head, class Score, class Select, class Weigh>
gate(Head, Score, Select, Weigh) -> gate<Head, Score, Select, Weigh>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
