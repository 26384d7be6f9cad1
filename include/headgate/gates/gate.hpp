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
#include <headgate/gates/stages.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/routing.hpp>

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
/// Selection carries no gradient. Logits that are NaN or infinite are refused, with the token and the expert.
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
    array<index> first;     // (tokens + 1): assignments of token t are [first[t], first[t + 1])
    array<index> named_by;  // (experts): the last token that selected it
    array<index> ids;       // (experts), working memory of one row, as are the next three
    scratch<T> row;         // (1 x experts)
    scratch<T> weights;     // (1 x experts)
    scratch<T> selected;    // (3 x experts): scores, gradients of the weights and of the scores
  };
  static constexpr auto fields = std::tuple_cat(detail::stage_field<Head, params>(&params::head),
                                                detail::stage_field<Score, params>(&params::score),
                                                detail::stage_field<Select, params>(&params::select));

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
    if (const index bad = kernels::first_not_finite(view_of_logits(r)); bad >= 0)
      refuse("gate::route: the router logit of token ", bad / experts(), " for expert ", bad % experts(), " is ",
             r.logits.data()[bad], ", logits must be finite");
    r.scores.resize(x.rows(), experts());
    r.scores_are = Score::kind;
    if constexpr (requires { typename Score::cache; })
      score.forward(p.score, x, view_of_logits(r), r.scores.block(), c.score, pass);
    else
      score.forward(view_of_logits(r), r.scores.block());
    assign(p, r, c);
  }

  /// Adds to dx and dp the gradient of the record: of its weights, scores and logits.
  template <class Executor>
  void backward(const params& p, in<T> x, const routing<T>& r, cache& c, routing_gradient<T>& d, out<T> dx, params& dp,
                const pass<T, Executor>& pass) const {
    weigh_backward(r, c, d);
    const view<const T> ds = d.scores.block();
    if constexpr (requires { typename Score::cache; })
      score.backward(p.score, x, r.logits.block(), r.scores.block(), ds, d.logits.block(), dx, dp.score, c.score, pass);
    else
      score.backward(r.logits.block(), r.scores.block(), ds, d.logits.block());
    head.backward(p.head, x, r, d, c.head, dx, dp.head, pass);
  }

 private:
  static view<const T> view_of_logits(const routing<T>& r) { return r.logits.block(); }

  /// Select and weigh, token after token.
  void assign(const params& p, routing<T>& r, cache& c) const {
    c.ids.resize(experts());
    c.row.resize(1, experts());
    c.weights.resize(1, experts());
    c.selected.resize(3, experts());
    c.first.resize(r.tokens + 1);
    c.first[0] = 0;
    c.named_by.assign(experts(), -1);
    for (index t = 0; t < r.tokens; ++t) {
      index count = 0;
      if constexpr (requires { typename Select::params; })
        count = select(p.select, r.scores.row(t), experts(), c.ids.data(), c.row.data());
      else
        count = select(static_cast<const T*>(r.scores.row(t)), experts(), c.ids.data());
      check_selection(c, t, count);
      for (index i = 0; i < count; ++i) c.selected(0, i) = r.scores(t, c.ids[i]);
      weigh.forward(static_cast<const T*>(c.selected.row(0)), count, c.weights.data());
      for (index i = 0; i < count; ++i) r.assignments.push_back({t, c.ids[i], c.weights(0, i)});
      c.first[t + 1] = r.assignments.size();
    }
  }

  /// A selection may be a user's: its count and its ids are refused where they are wrong.
  void check_selection(cache& c, index token, index count) const {
    if (count < 0 || count > experts())
      refuse("gate::route: the selection names ", count, " experts for token ", token, ", the gate has ", experts());
    for (index i = 0; i < count; ++i) {
      const index e = c.ids[i];
      if (e < 0 || e >= experts())
        refuse("gate::route: the selection names expert ", e, " for token ", token, ", the gate has ", experts());
      if (std::exchange(c.named_by[e], token) == token)
        refuse("gate::route: the selection names expert ", e, " twice for token ", token);
    }
  }

  void weigh_backward(const routing<T>& r, cache& c, routing_gradient<T>& d) const {
    for (index t = 0; t < r.tokens; ++t) {
      const index first = c.first[t];
      const index count = c.first[t + 1] - first;
      for (index i = 0; i < count; ++i) {
        c.selected(0, i) = r.scores(t, r.assignments[first + i].expert);
        c.weights(0, i) = r.assignments[first + i].weight;
        c.selected(1, i) = d.weights(first + i, 0);
        c.selected(2, i) = T{0};
      }
      weigh.backward(static_cast<const T*>(c.selected.row(0)), static_cast<const T*>(c.weights.data()), count,
                     static_cast<const T*>(c.selected.row(1)), c.selected.row(2));
      for (index i = 0; i < count; ++i) d.scores(t, r.assignments[first + i].expert) += c.selected(2, i);
    }
  }
};

template <class Head, class Score, class Select, class Weigh>
gate(Head, Score, Select, Weigh) -> gate<Head, Score, Select, Weigh>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
