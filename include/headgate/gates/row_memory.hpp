// SPDX-License-Identifier: BSD-3-Clause
// How a gate divides a batch into blocks of rows, and the memory that goes with a block.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/core/view.hpp>
#include <headgate/kernels/finite.hpp>

#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace detail {

/// Logits that go through all stages together: 8 KiB in float, as much again of scores.
inline constexpr index elements_per_block = 2048;

/// Logits in one task: 5 to 15 microseconds of work, what it costs to wake a thread.
inline constexpr index elements_per_task = 8192;

/// How many rows those are.
[[nodiscard]] inline index rows_of(index elements, index experts) { return (std::max)(elements / experts, index{1}); }

/// f(count), with a count that the compiler knows for the usual ones: then nothing is left of the loops over it. 8 experts,
/// k = 2: 13.2 ns a token with a count of run time, 10.5 so.
template <class F>
index with_constant(index count, const F& f) {
  if (count == 1) return f(std::integral_constant<index, 1>{});
  if (count == 2) return f(std::integral_constant<index, 2>{});
  if (count == 4) return f(std::integral_constant<index, 4>{});
  if (count == 8) return f(std::integral_constant<index, 8>{});
  return f(count);
}

/// Memory of one worker for selecting and weighing, and what it has found.
template <class T>
struct row_memory {
  array<index> ids;           // (rows of a block * count + experts), named by the selection
  array<index> named_by;      // (experts): the last token that selected it
  scratch<T> row;             // (2 x experts), for the selection
  scratch<T> seen;            // (1 x experts), the scores that it sees of a token with experts that are switched off
  scratch<T> weights;         // (1 x experts)
  scratch<T> selected;        // (3 x experts): scores, gradients of the weights and of the scores
  bool some_are_off = false;  // whether a logit of the block is -inf
  bool any_off = false;       // whether one of any block was
  index refused = -1;         // the first token whose logits or selection are to be refused

  void reset(index experts, index ids_of_block) {
    ids.resize(ids_of_block + experts);
    named_by.assign(experts, -1);
    row.resize(2, experts);
    seen.resize(1, experts);
    weights.resize(1, experts);
    selected.resize(3, experts);
    some_are_off = false;
    any_off = false;
    refused = -1;
  }

  /// Looks at the logits of a block: the place of the first that is NaN or +inf, -1 if there is none.
  index first_bad_logit(view<const T> z) {
    // The rows lie one after the other: to look at them as one leaves no rest of a vector at each row's end.
    some_are_off = kernels::first_not_finite_in_row(z.data, z.rows * z.cols) >= 0;
    any_off = any_off || some_are_off;
    return some_are_off ? kernels::first_nan_or_plus_infinity_in_row(z.data, z.rows * z.cols) : -1;
  }

  /// The scores by which a token's experts are chosen: an expert that is switched off (z = -inf) ranks below all others.
  const T* scores_to_select(const T* z, const T* s, index experts) {
    if (!some_are_off) return s;
    for (index e = 0; e < experts; ++e) seen(0, e) = kernels::is_minus_infinity(z[e]) ? z[e] : s[e];
    return seen.data();
  }
  /// A selection may be a user's: its count and its ids are refused where they are wrong.
  template <class Select>
  HEADGATE_ALWAYS_INLINE bool names_once(index token, const index* named, index count, index most) {
    if constexpr (requires { requires Select::names_each_once; }) return true;
    if (count < 0 || count > most) return false;
    for (index i = 0; i < count; ++i)
      if (named[i] < 0 || named[i] >= most || std::exchange(named_by[named[i]], token) == token) return false;
    return true;
  }
  void refuse_token(index token) { refused = refused < 0 ? token : (std::min)(refused, token); }
};

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
