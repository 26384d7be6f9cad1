// SPDX-License-Identifier: BSD-3-Clause
// What a gate does with the experts that a selection has named: check them, weigh them, and the weights' backward.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/gates/row_memory.hpp>
#include <headgate/routing/routing.hpp>

#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace detail {

/// A selection may be a user's: its count and its ids are refused where they are wrong.
template <class Select, class T>
HEADGATE_ALWAYS_INLINE bool names_experts_once(row_memory<T>& memory, index token, const index* ids, index count,
                                               index most) {
  if constexpr (requires { requires Select::names_each_once; }) return true;
  if (count < 0 || count > most) return false;
  index* const named_by = memory.named_by.data();
  for (index i = 0; i < count; ++i)
    if (ids[i] < 0 || ids[i] >= most || std::exchange(named_by[ids[i]], token) == token) return false;
  return true;
}

/// The assignments of one token, from its row of scores.
template <class Weigh, class T>
HEADGATE_ALWAYS_INLINE void weigh_row(const Weigh& weigh, const T* s, const index* ids, index count,
                                      row_memory<T>& memory, index token, assignment<T>* to) {
  T* const selected = memory.selected.data();
  T* const weights = memory.weights.data();
  for (index i = 0; i < count; ++i) selected[i] = s[ids[i]];
  weigh.forward(static_cast<const T*>(selected), count, weights);
  for (index i = 0; i < count; ++i) to[i] = {token, ids[i], weights[i]};
}

/// Adds to d.scores what d.weights means there. The assignments of token t are [first[t], first[t + 1]).
template <class Weigh, class T>
void weigh_backward(const Weigh& weigh, const routing<T>& r, const array<index>& first, row_memory<T>& m,
                    routing_gradient<T>& d) {
  for (index t = 0; t < r.tokens; ++t) {
    const index begin = first[t];
    const index count = first[t + 1] - begin;
    for (index i = 0; i < count; ++i) {
      m.selected(0, i) = r.scores(t, r.assignments[begin + i].expert);
      m.weights(0, i) = r.assignments[begin + i].weight;
      m.selected(1, i) = d.weights(begin + i, 0);
      m.selected(2, i) = T{0};
    }
    weigh.backward(static_cast<const T*>(m.selected.row(0)), static_cast<const T*>(m.weights.data()), count,
                   static_cast<const T*>(m.selected.row(1)), m.selected.row(2));
    for (index i = 0; i < count; ++i) d.scores(t, r.assignments[begin + i].expert) += m.selected(2, i);
  }
}

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
