// SPDX-License-Identifier: BSD-3-Clause
// Packing: B into panels, and rows of A into blocks that the micro-kernel reads without conflicts in the cache.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>
#include <headgate/kernels/blocking.hpp>
#include <headgate/kernels/product.hpp>
#include <headgate/kernels/storage.hpp>
#include <headgate/kernels/transpose.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// Columns of C that one panel covers: a panel of a pair holds as many of both, in one vector each.
template <class Arch, class T, class Storage>
[[nodiscard]] constexpr index panel_cols(const product<T, Storage>& p) {
  return p.paired ? panel_width<Arch, T> / 2 : panel_width<Arch, T>;
}

template <class Arch, class T, class Storage>
[[nodiscard]] constexpr index panel_count(const product<T, Storage>& p) {
  const index cols = panel_cols<Arch>(p);
  return (p.cols + cols - 1) / cols;
}

namespace detail {

/// Columns [col, col + cols) and depths [first, last) of b into steps of panel width; columns beyond stay as they are.
template <class Arch, class T>
void pack_columns(const product<T>& p, const T* b, index col, index cols, index first, index last, T* to) {
  constexpr index width = panel_width<Arch, T>;
  b += col * p.b_col_stride;
  if (p.b_col_stride == 1) {
    for (index l = first; l < last; ++l, to += width) {
      const T* const from = b + (p.b_rows ? p.b_rows[l] : l) * p.b_depth_stride;
      if (cols == width) {  // the compiler would call memmove, which is 10 % of a training step
        using batch = xsimd::batch<T, Arch>;
        batch::load_unaligned(from).store_unaligned(to);
        batch::load_unaligned(from + batch::size).store_unaligned(to + batch::size);
      } else {
        std::copy_n(from, cols, to);
      }
    }
  } else if (p.b_depth_stride == 1 && !p.b_rows) {
    transpose(b + first, p.b_col_stride, cols, last - first, to, width);
  } else {
    for (index j = 0; j < cols; ++j)
      for (index l = first; l < last; ++l)
        to[(l - first) * width + j] = b[(p.b_rows ? p.b_rows[l] : l) * p.b_depth_stride + j * p.b_col_stride];
  }
}

}  // namespace detail

/// Packs depths [first, last) of a panel of B: to[(l - first) * width + j], zero beyond B. Columns of a pair come as one
/// vector of the first B and one of the second.
template <class Arch, class T>
void pack_panel(const product<T>& p, index panel, index first, index last, T* to) {
  constexpr index width = panel_width<Arch, T>;
  const index most = panel_cols<Arch>(p);
  const index col = panel * most;
  const index cols = (std::min)(most, p.cols - col);
  if (cols < most) std::fill_n(to, (last - first) * width, T{0});
  detail::pack_columns<Arch>(p, p.b, col, cols, first, last, to);
  if (p.paired) detail::pack_columns<Arch>(p, p.b_pair, col, cols, first, last, to + most);
}

/// The size of all panels of a (depth x cols) operand, in elements; of a pair's two, with `paired`.
template <class Arch, class T>
[[nodiscard]] constexpr index packed_size(index cols, index depth, bool paired = false) {
  product<T> p;
  p.cols = cols, p.paired = paired;
  return panel_count<Arch>(p) * panel_width<Arch, T> * depth;
}

/// Packs all panels of B once for any number of products, as Storage: panel after panel, each step after step. `p` needs
/// only its B. Rounds to nearest where Storage is shorter than T.
template <class Arch, class Storage, class T>
void pack_panels(const product<T>& p, Storage* panels) {
  constexpr index width = panel_width<Arch, T>;
  constexpr index steps = 64;
  alignas(alignment) T block[static_cast<std::size_t>(steps * width)];
  for (index panel = 0; panel < panel_count<Arch>(p); ++panel)
    for (index first = 0; first < p.depth; first += steps) {
      const index count = (std::min)(steps, p.depth - first);
      pack_panel<Arch>(p, panel, first, first + count, block);
      for (index l = 0; l < count; ++l, panels += width)
        for (index j = 0; j < width; ++j)
          panels[panel_storage<Arch, T, Storage>::position(j)] = static_cast<Storage>(block[l * width + j]);
    }
}

/// Rows of A as the micro-kernel reads them: row i starts at `row(i)`, its elements `stride` apart.
template <class T>
struct left_block {
  const T* data = nullptr;
  const index* rows = nullptr;
  index row_stride = 0;
  index stride = 1;

  [[nodiscard]] const T* row(index i) const { return data + (rows ? rows[i] : i) * row_stride; }
};

/// True if rows of A can be read where they are: one row, or a layout in which neither the rows of a tile nor the steps of a
/// transposed A meet in a few sets of the cache.
template <class T, class Storage>
[[nodiscard]] bool reads_in_place(const product<T, Storage>& p, index rows) {
  constexpr index line = static_cast<index>(64 / sizeof(T));
  if (rows == 1) return true;
  return !p.a_rows && (p.a_depth_stride == 1 ? p.a_row_stride : p.a_depth_stride) % (8 * line) != 0;
}

/// Depth for which `pack_rows` may need memory: none where A is read in place.
template <class T, class Storage>
[[nodiscard]] index depth_to_pack(const product<T, Storage>& p) {
  return reads_in_place(p, 2) ? 0 : p.depth;
}

/// Rows [first, last) of A, copied into a layout without conflicts if reading them in place would cost more; a list of rows
/// is gathered on the way. One of A's strides is 1.
template <class T, class Storage>
[[nodiscard]] left_block<T> pack_rows(const product<T, Storage>& p, index first, index last, T* memory) {
  left_block<T> block;
  if (reads_in_place(p, last - first)) {
    block.data = p.a + (p.a_rows ? 0 : first * p.a_row_stride);
    block.rows = p.a_rows ? p.a_rows + first : nullptr;
    block.row_stride = p.a_row_stride;
    block.stride = p.a_depth_stride;
    return block;
  }
  block.data = memory;
  if (p.a_depth_stride == 1) {
    block.row_stride = spread_stride<T>(p.depth);
    for (index i = first; i < last; ++i)
      std::copy_n(p.a + (p.a_rows ? p.a_rows[i] : i) * p.a_row_stride, p.depth,
                  memory + (i - first) * block.row_stride);
  } else {
    block.row_stride = 1;
    block.stride = spread_stride<T>(last - first);
    for (index l = 0; l < p.depth; ++l)
      std::copy_n(p.a + first + l * p.a_depth_stride, last - first, memory + l * block.stride);
  }
  return block;
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
