// SPDX-License-Identifier: BSD-3-Clause
// Combination of the experts' rows into the tokens' rows, weighted there or before the experts, and its backward.
#pragma once

#include <headgate/concepts/executor.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/view.hpp>
#include <headgate/kernels/combine.hpp>
#include <headgate/kernels/elementwise.hpp>
#include <headgate/kernels/reduce.hpp>
#include <headgate/routing/plan.hpp>

#include <algorithm>

namespace headgate {
inline namespace HEADGATE_ABI {

/// What a token's weight multiplies: what its expert returns, or what its expert gets (Llama 4).
enum class weight_on { output, input };

inline void check_weight_on(weight_on where, const char* owner) {
  if (where != weight_on::output && where != weight_on::input)
    refuse(owner, ": weight_on is ", static_cast<int>(where), ", it must be output (",
           static_cast<int>(weight_on::output), ") or input (", static_cast<int>(weight_on::input), ")");
}

namespace detail {

/// Rows in one task: enough to be worth handing to a thread.
inline constexpr index rows_per_task = 64;

/// f(row) for every row, in blocks that the executor spreads.
template <executor Executor, class F>
void for_each_row(const Executor& executor, index rows, const F& f) {
  executor.run((rows + rows_per_task - 1) / rows_per_task, [&](index task, index) {
    const index last = (std::min)((task + 1) * rows_per_task, rows);
    for (index row = task * rows_per_task; row < last; ++row) f(row);
  });
}

}  // namespace detail

/// y_t = [y_t +] sum over t's slots s of weights[s] * rows_s, in slot order, which is by ascending expert. rows (slots x
/// outputs), y (tokens x outputs); `weights` (slots), or null for ones.
template <class T, executor Executor>
void combine(const Executor& executor, const dispatch_plan& plan, view<const T> rows, const T* weights, view<T> y,
             bool accumulate) {
  detail::for_each_row(executor, y.rows, [&](index t) {
    kernels::combine_rows(rows, plan.token_offsets().data(), plan.token_slots().data(), weights, y, t, t + 1,
                          accumulate);
  });
}

/// drows_s = weights[s] * dy_t and dweights[a] += <dy_t, rows_s> for each slot s of token t and assignment a. Dropped
/// assignments have no slot, hence no gradient.
template <class T, executor Executor>
void combine_backward(const Executor& executor, const dispatch_plan& plan, view<const T> rows, const T* weights,
                      view<const T> dy, view<T> drows, T* dweights) {
  const index* const token_of = plan.groups().rows;
  detail::for_each_row(executor, rows.rows, [&](index s) {
    const T* const of_token = dy.row(token_of[s]);
    kernels::scale_row(weights[s], of_token, drows.row(s), dy.cols);
    dweights[plan.assignment_of(s)] += kernels::dot_row(of_token, rows.row(s), dy.cols);
  });
}

/// dweights[a] += <tokens_t, slots_s> for each slot s of token t and assignment a.
template <class T, executor Executor>
void weight_gradients(const Executor& executor, const dispatch_plan& plan, view<const T> tokens, view<const T> slots,
                      T* dweights) {
  const index* const token_of = plan.groups().rows;
  detail::for_each_row(executor, slots.rows, [&](index s) {
    dweights[plan.assignment_of(s)] += kernels::dot_row(tokens.row(token_of[s]), slots.row(s), tokens.cols);
  });
}

/// slots_s = weights[s] * the row of `rows` that slot s of the groups reads.
template <class T, executor Executor>
void weigh_rows(const Executor& executor, const row_groups& g, view<const T> rows, const T* weights, view<T> slots) {
  detail::for_each_row(executor, slots.rows,
                       [&](index s) { kernels::scale_row(weights[s], rows.row(g.rows[s]), slots.row(s), rows.cols); });
}

/// The backward of weighted inputs: dx_t += sum over t's slots of weights[s] * dinputs_s, and dweights[a] += <x_t, dinputs_s>.
template <class T, executor Executor>
void weigh_inputs_backward(const Executor& executor, const dispatch_plan& plan, view<const T> x, const T* weights,
                           view<const T> dinputs, view<T> dx, T* dweights) {
  weight_gradients<T>(executor, plan, x, dinputs, dweights);
  combine<T>(executor, plan, dinputs, weights, dx, true);
}

/// slots_s = the row of `rows` that slot s of the groups reads: the backward of a combination without weights.
template <class T, executor Executor>
void spread_rows(const Executor& executor, const row_groups& g, view<const T> rows, view<T> slots) {
  detail::for_each_row(executor, slots.rows,
                       [&](index s) { std::copy_n(rows.row(g.rows[s]), rows.cols, slots.row(s)); });
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
