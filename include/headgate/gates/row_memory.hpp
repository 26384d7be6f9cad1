// SPDX-License-Identifier: BSD-3-Clause
// How a gate divides a batch into blocks of rows, and the memory that goes with a block.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/scratch.hpp>

#include <algorithm>
#include <type_traits>

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
  array<index> ids;       // (rows of a block * count + experts), named by the selection
  array<index> named_by;  // (experts): the last token that selected it
  scratch<T> row;         // (1 x experts), for the selection
  scratch<T> weights;     // (1 x experts)
  scratch<T> selected;    // (3 x experts): scores, gradients of the weights and of the scores
  index refused = -1;     // the first token whose logits or selection are to be refused

  void reset(index experts, index ids_of_block) {
    ids.resize(ids_of_block + experts);
    named_by.assign(experts, -1);
    row.resize(1, experts);
    weights.resize(1, experts);
    selected.resize(3, experts);
    refused = -1;
  }
  void refuse_token(index token) { refused = refused < 0 ? token : (std::min)(refused, token); }
};

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
