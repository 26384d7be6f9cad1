// SPDX-License-Identifier: BSD-3-Clause
// How a gate calls its weigh stage, forward and backward: with the selected experts of a token that are on.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/gates/row_memory.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/routing/routing.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace detail {

/// True for an expert that is switched off for a token: its logit is -inf.
template <class T>
[[nodiscard]] bool is_off(const routing<T>& r, index token, index expert) {
  return kernels::is_minus_infinity(r.logits(token, expert));
}

/// Of a block in which some experts are switched off: the weigh stage does not see those that are named all the same.
/// They keep their places, with the weight 0, until `drop_those_off`.
template <class Weigh, class T>
HEADGATE_NEVER_INLINE void weigh_those_on(const Weigh& weigh, const routing<T>& r, index token, const index* ids,
                                          index count, row_memory<T>& memory, assignment<T>* to) {
  index on = 0;
  for (index i = 0; i < count; ++i)
    if (!is_off(r, token, ids[i])) memory.selected(0, on++) = r.scores(token, ids[i]);
  weigh.forward(static_cast<const T*>(memory.selected.data()), on, memory.weights.data());
  const T* next = memory.weights.data();
  for (index i = 0; i < count; ++i) to[i] = {token, ids[i], is_off(r, token, ids[i]) ? T{0} : *next++};
}

/// The assignments of a token to the experts ids_0 ... ids_{count-1}.
template <class Weigh, class T>
HEADGATE_ALWAYS_INLINE void weigh_row(const Weigh& weigh, const routing<T>& r, index token, const index* ids,
                                      index count, row_memory<T>& memory, assignment<T>* to) {
  if (memory.some_are_off) return weigh_those_on(weigh, r, token, ids, count, memory, to);
  const T* const s = r.scores.row(token);
  T* const selected = memory.selected.data();
  T* const weights = memory.weights.data();
  for (index i = 0; i < count; ++i) selected[i] = s[ids[i]];
  weigh.forward(static_cast<const T*>(selected), count, weights);
  for (index i = 0; i < count; ++i) to[i] = {token, ids[i], weights[i]};
}

/// Takes the assignments to experts that are switched off out of the record; the others keep their order. Those of token t
/// are [first[t], first[t + 1]), before and after.
template <class T>
HEADGATE_NEVER_INLINE void drop_those_off(routing<T>& r, array<index>& first) {
  index kept = 0, next = 0;
  for (index t = 0; t < r.tokens; ++t) {
    for (const index end = first[t + 1]; next < end; ++next)
      if (!is_off(r, t, r.assignments[next].expert)) r.assignments[kept++] = r.assignments[next];
    first[t + 1] = kept;
  }
  r.assignments.resize(kept);
}

/// d.scores += the pull-back of d.weights. The assignments of token t are [first[t], first[t + 1]).
template <class Weigh, class T>
void weigh_backward(const Weigh& weigh, const routing<T>& r, const index* first, row_memory<T>& m,
                    routing_gradient<T>& d) {
  for (index t = 0; t < r.tokens; ++t) {
    index count = 0;
    for (index i = first[t]; i < first[t + 1]; ++i) {
      const assignment<T>& one = r.assignments[i];
      m.selected(0, count) = r.scores(t, one.expert);
      m.weights(0, count) = one.weight;
      m.selected(1, count) = d.weights(i, 0);
      m.selected(2, count++) = T{0};
    }
    // A stage that wraps another may overwrite its weights and their gradient: they are copies.
    weigh.backward(static_cast<const T*>(m.selected.row(0)), m.weights.data(), count, m.selected.row(1),
                   m.selected.row(2));
    const T* ds = m.selected.row(2);
    for (index i = first[t]; i < first[t + 1]; ++i) d.scores(t, r.assignments[i].expert) += *ds++;
  }
}

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
