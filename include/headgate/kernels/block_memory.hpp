// SPDX-License-Identifier: BSD-3-Clause
// Working memory of one thread in a product: how much, and what lies where.
#pragma once

#include <headgate/config.hpp>
#include <headgate/kernels/blocking.hpp>
#include <headgate/kernels/storage.hpp>  // panel_width

#include <algorithm>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// Panels of the largest group that is worked on together.
inline constexpr index most_panels = 4;

/// Working memory of one thread: rows of A, panels of B, sums between blocks of depth, and start values, each where it is
/// needed at all. Made for all products of at most so many rows and, where A has to be copied, so much depth: the sums over
/// all groups, so that it does not matter to the size how rows are spread over the groups.
template <class Arch, class T>
struct block_memory {
  static constexpr index width = panel_width<Arch, T>;
  static constexpr index group = most_panels;

  T* rows = nullptr;
  T* panels = nullptr;
  T* sums = nullptr;
  T* start = nullptr;

  /// Elements.
  [[nodiscard]] static index size(index row_count, index depth) {
    return rows_size(row_count, depth) + group * width * (block_of_depth() + most_rows(row_count) + 1);
  }
  [[nodiscard]] static index block_of_depth() { return depth_block(2 * width * static_cast<index>(sizeof(T))); }

  block_memory(T* memory, index row_count, index depth)
      : rows(memory),
        panels(rows + rows_size(row_count, depth)),
        sums(panels + group * width * block_of_depth()),
        start(sums + most_rows(row_count) * group * width) {}

 private:
  static index most_rows(index row_count) { return (std::min)(row_count, most_rows_in_block); }
  /// No block of rows is larger, whatever its share of the rows and of the depth.
  static index rows_size(index row_count, index depth) {
    constexpr index spread = 48;  // more than `spread_stride` adds to a row
    const index most = most_rows(row_count);
    const index block = (std::max)(bytes_of_rows(true) / static_cast<index>(sizeof(T)), least_rows_in_block * depth);
    const index elements = (std::min)(most * depth, block) + spread * (depth > 0 ? (std::max)(most, depth) : 0);
    return (elements + 15) / 16 * 16;
  }
};

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
