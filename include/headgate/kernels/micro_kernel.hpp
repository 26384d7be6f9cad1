// SPDX-License-Identifier: BSD-3-Clause
// The innermost tile of the matrix product: a few rows of A times one panel of B.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>  // abort_with
#include <headgate/kernels/product.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>
#include <utility>  // index_sequence

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// Rows of the largest tile: 6 x 2 accumulators, two vectors of B and one of A fill 16 registers.
inline constexpr index tile_rows = 6;

/// What the accumulators start from: zero, a bias row, or what C holds already.
enum class start_from { zero, bias, c };

/// c[r][0, cols) = start + sum over l of a[r][l * a_stride] * panel[l * width + j], for r < Rows and cols <= width.
///
/// Each output element is one accumulator that adds its products in the order l = 0, 1, 2 ... with fused multiply-adds,
/// whatever Rows is: that is why a token's result does not depend on how many tokens share its tile.
template <class Arch, std::size_t Rows, class T>
HEADGATE_NEVER_INLINE void micro_kernel(index depth, const T* const* a_rows, index a_stride, const T* panel,
                                        T* const* c_rows, index cols, start_from start, const T* bias) {
  using batch = xsimd::batch<T, Arch>;
  constexpr index lanes = static_cast<index>(batch::size);
  constexpr index width = panel_width<Arch, T>;
  constexpr auto rows = std::make_index_sequence<Rows>{};

  batch low[Rows];
  batch high[Rows];
  const T* a[Rows];
  alignas(alignment) T edge[static_cast<std::size_t>(width)];

  const auto load = [&](const T* from, std::size_t r) {
    if (cols < width) {
      std::fill(edge, edge + width, T{0});
      std::copy_n(from, cols, edge);
      from = edge;
    }
    low[r] = batch::load_unaligned(from);
    high[r] = batch::load_unaligned(from + lanes);
  };
  for (std::size_t r = 0; r < Rows; ++r) {
    a[r] = a_rows[r];
    low[r] = high[r] = batch(T{0});
    if (start == start_from::bias) load(bias, r);
    if (start == start_from::c) load(c_rows[r], r);
  }

  // Unrolled by pack expansion: loops over r would keep the accumulators in memory at -O1 and -O2.
  [&]<std::size_t... R>(std::index_sequence<R...>) __attribute__((always_inline)) {
    for (index l = 0; l < depth; ++l) {
      const batch b_low = batch::load_unaligned(panel + l * width);
      const batch b_high = batch::load_unaligned(panel + l * width + lanes);
      const index at = l * a_stride;
      const auto row = [&](std::size_t r) __attribute__((always_inline)) {
        const batch value(a[r][at]);
        low[r] = xsimd::fma(value, b_low, low[r]);
        high[r] = xsimd::fma(value, b_high, high[r]);
      };
      (row(R), ...);
    }
  }
  (rows);

  for (std::size_t r = 0; r < Rows; ++r) {
    T* const to = cols < width ? edge : c_rows[r];
    low[r].store_unaligned(to);
    high[r].store_unaligned(to + lanes);
    if (cols < width) std::copy_n(edge, cols, c_rows[r]);
  }
}

/// `micro_kernel` for a number of rows known at run time, 1 <= rows <= tile_rows.
template <class Arch, class T, std::size_t Rows = tile_rows, class... Rest>
void micro_kernel_for(index rows, index depth, Rest... rest) {
  HEADGATE_ASSERT(rows >= 1 && rows <= tile_rows, "micro_kernel_for: the rows do not fit a tile");
  if constexpr (Rows > 1) {
    if (rows < static_cast<index>(Rows)) return micro_kernel_for<Arch, T, Rows - 1>(rows, depth, rest...);
  }
  micro_kernel<Arch, Rows, T>(depth, rest...);
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
