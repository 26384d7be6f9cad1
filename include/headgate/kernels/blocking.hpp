// SPDX-License-Identifier: BSD-3-Clause
// Block sizes of the matrix product, from the sizes of this machine's caches.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/core/view.hpp>

#if HEADGATE_HAS_SYSCONF
#include <unistd.h>  // sysconf
#endif

#include <algorithm>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// Bytes of one core's first and second level of data cache.
struct cache_sizes {
  index first = index{32} << 10;
  index second = index{512} << 10;
};

/// What the system says, or the default above where it does not: read once.
[[nodiscard]] inline const cache_sizes& caches() {
  static const cache_sizes sizes = [] {
    cache_sizes found;
#if HEADGATE_HAS_SYSCONF
    if (const long bytes = sysconf(_SC_LEVEL1_DCACHE_SIZE); bytes >= 8 << 10) found.first = bytes;
    if (const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); bytes >= 64 << 10) found.second = bytes;
#endif
    return found;
  }();
  return sizes;
}

/// The inner dimension is cut so that a block of a pair of panels (`step_bytes` for each step of the inner dimension)
/// takes two thirds of the first-level cache and is read from there by every tile of rows but the first. A multiple of 8.
[[nodiscard]] inline index depth_block(index step_bytes) {
  return (std::max)(index{64}, caches().first * 2 / (3 * step_bytes) / 8 * 8);
}

/// Bounds of `row_block`. A panel that comes from memory pays from 24 rows on.
inline constexpr index least_rows_in_block = 24;
inline constexpr index most_rows_in_block = 768;

/// Bytes of A in one block of rows: half of the second-level cache, from which the rows are read for every panel. Where the
/// panels are packed anew for each block, four times as much, although it no longer fits: training of 4096 tokens (small)
/// reaches 0.85 of the peak instead of 0.83.
[[nodiscard]] inline index bytes_of_rows(bool packs_panels) {
  return packs_panels ? 2 * caches().second : caches().second / 2;
}

/// So many rows of A (`row_bytes` each). A multiple of `tile`.
[[nodiscard]] inline index row_block(index row_bytes, index tile, bool packs_panels = false) {
  const index rows = bytes_of_rows(packs_panels) / (std::max)(row_bytes, index{1});
  return (std::clamp)(rows, least_rows_in_block, most_rows_in_block) / tile * tile;
}

/// Columns of a row-major block of T whose rows are read side by side: room for whole panels of any instruction set, and an
/// odd number of cache lines, so that equal columns of neighbouring rows do not meet in one set of the cache.
template <class T>
[[nodiscard]] constexpr index spread_stride(index cols) {
  constexpr index line = static_cast<index>(64 / sizeof(T));
  return ((cols + 2 * line - 1) / (2 * line) * 2 + 1) * line;
}

/// (rows x cols) with `spread_stride`, the values unspecified.
template <class T>
[[nodiscard]] view<T> resize_spread(scratch<T>& memory, index rows, index cols) {
  const index stride = spread_stride<T>(cols);
  return {memory.resize(rows, stride).data, rows, cols, stride};
}

/// The block as the last `resize_spread` left it.
template <class T>
[[nodiscard]] view<T> spread_block(scratch<T>& memory, index cols) {
  return {memory.data(), memory.rows(), cols, memory.cols()};
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
