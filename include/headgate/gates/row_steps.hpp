// SPDX-License-Identifier: BSD-3-Clause
// What a gate does with the experts that a selection has named before it weighs them.
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

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
