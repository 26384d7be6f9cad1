// SPDX-License-Identifier: BSD-3-Clause
// Vectors of a panel into a row that may end within them.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/scratch.hpp>  // alignment

#include <xsimd/xsimd.hpp>

#include <algorithm>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// Writes a vector to columns [col, col + lanes) of a row of `cols` elements, as far as it reaches.
template <class T, class Arch>
HEADGATE_ALWAYS_INLINE void store_lanes(T* row, index col, index cols, const xsimd::batch<T, Arch>& values) {
  constexpr index lanes = static_cast<index>(xsimd::batch<T, Arch>::size);
  if (col + lanes <= cols) {
    values.store_unaligned(row + col);
  } else if (col < cols) {  // not a window over the row's last vectors: the columns before may be another thread's
    alignas(alignment) T edge[static_cast<std::size_t>(lanes)];
    values.store_aligned(edge);
    std::copy_n(edge, cols - col, row + col);
  }
}

/// The same for the two vectors of a panel.
template <class T, class Arch>
HEADGATE_ALWAYS_INLINE void store_panel(T* row, index col, index cols, const xsimd::batch<T, Arch>& low,
                                        const xsimd::batch<T, Arch>& high) {
  store_lanes(row, col, cols, low);
  store_lanes(row, col + static_cast<index>(xsimd::batch<T, Arch>::size), cols, high);
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
