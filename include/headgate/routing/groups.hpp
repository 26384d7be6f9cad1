// SPDX-License-Identifier: BSD-3-Clause
// Rows in expert order: what grouped experts run on.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Slots [offsets[e], offsets[e + 1]) belong to expert e; slot s reads row rows[s] of x, or row s where `rows` is null.
struct row_groups {
  index count = 0;                 ///< experts
  const index* offsets = nullptr;  ///< (count + 1), from 0, not decreasing
  const index* rows = nullptr;     ///< (slots) or null

  [[nodiscard]] index slots() const { return offsets[count]; }
  [[nodiscard]] index size(index e) const { return offsets[e + 1] - offsets[e]; }
  [[nodiscard]] const index* rows_of(index e) const { return rows ? rows + offsets[e] : nullptr; }

  /// The rows of a (slots x cols) block that belong to expert e.
  template <class T>
  [[nodiscard]] view<T> slice(view<T> block, index e) const {
    return block.middle_rows(offsets[e], size(e));
  }
  /// What expert e's slots read of x: its own rows of x, or all of x seen through `rows_of(e)`.
  template <class T>
  [[nodiscard]] view<T> source(view<T> x, index e) const {
    return rows ? x : slice(x, e);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
