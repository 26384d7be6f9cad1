// SPDX-License-Identifier: BSD-3-Clause
// Operands of the grouped matrix product, and the panels into which its right-hand side is packed.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/core/view.hpp>
#include <headgate/kernels/lanes.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// C (rows x cols) = A (rows x depth) B (depth x cols), added to zero, to a bias row, or (`accumulate`) to what C holds,
/// which leaves a bias unread. Describes memory; the makers below are its users' vocabulary. Strides count elements; a list of row numbers, where there is one, is followed instead of 0, 1, 2 ...
template <class T>
struct product {
  index rows = 0;
  index cols = 0;
  index depth = 0;

  const T* a = nullptr;  ///< A(i, l) = a[a_rows[i] * a_row_stride + l * a_depth_stride]
  const index* a_rows = nullptr;
  index a_row_stride = 0;
  index a_depth_stride = 0;

  const T* b = nullptr;  ///< B(l, j) = b[b_rows[l] * b_depth_stride + j * b_col_stride]
  const index* b_rows = nullptr;
  index b_depth_stride = 0;
  index b_col_stride = 0;
  const T* panels = nullptr;  ///< B as `pack_panels` leaves it; used instead of b

  T* c = nullptr;  ///< C(i, j) = c[i * c_stride + j]
  index c_stride = 0;
  const T* bias = nullptr;  ///< (1 x cols), or null
  bool accumulate = false;  ///< adds to C instead of overwriting it
};

/// y = x w' [+ bias] with w (outputs x inputs): the forward product. `x_rows` picks a row of x for each row of y.
template <class T>
[[nodiscard]] product<T> times_transposed(read_view<T> x, const index* x_rows, read_view<T> w, view<T> y,
                                          const T* bias = nullptr) {
  product<T> p;
  p.rows = y.rows, p.cols = w.rows, p.depth = w.cols;
  p.a = x.data, p.a_rows = x_rows, p.a_row_stride = x.stride, p.a_depth_stride = 1;
  p.b = w.data, p.b_depth_stride = 1, p.b_col_stride = w.stride;
  p.c = y.data, p.c_stride = y.stride;
  p.bias = bias;
  return p;
}

/// dx = dy w, or dx += dy w: the gradient of the input.
template <class T>
[[nodiscard]] product<T> times(read_view<T> dy, read_view<T> w, view<T> dx, bool accumulate) {
  product<T> p;
  p.rows = dx.rows, p.cols = w.cols, p.depth = w.rows;
  p.a = dy.data, p.a_row_stride = dy.stride, p.a_depth_stride = 1;
  p.b = w.data, p.b_depth_stride = w.stride, p.b_col_stride = 1;
  p.c = dx.data, p.c_stride = dx.stride;
  p.accumulate = accumulate;
  return p;
}

/// dw += dy' x: the gradient of the weight. `x_rows` picks a row of x for each row of dy.
template <class T>
[[nodiscard]] product<T> add_transposed_times(read_view<T> dy, read_view<T> x, const index* x_rows, view<T> dw) {
  product<T> p;
  p.rows = dw.rows, p.cols = dw.cols, p.depth = dy.rows;
  p.a = dy.data, p.a_row_stride = 1, p.a_depth_stride = dy.stride;
  p.b = x.data, p.b_rows = x_rows, p.b_depth_stride = x.stride, p.b_col_stride = 1;
  p.c = dw.data, p.c_stride = dw.stride;
  p.accumulate = true;
  return p;
}

/// Columns of B in one panel: two vectors, so that six rows of accumulators and the operands fit 16 registers.
template <class Arch, class T>
inline constexpr index panel_width = 2 * static_cast<index>(xsimd::batch<T, Arch>::size);

/// Packs columns [col, col + panel width) and depths [first, last) of B: panel[(l - first) * width + j], zero beyond B.
template <class Arch, class T>
void pack_panel(const product<T>& p, index col, index first, index last, T* panel) {
  constexpr index width = panel_width<Arch, T>;
  const index cols = (std::min)(width, p.cols - col);
  if (cols < width) std::fill(panel, panel + (last - first) * width, T{0});
  const T* const b = p.b + col * p.b_col_stride;
  if (p.b_col_stride == 1) {
    for (index l = first; l < last; ++l)
      std::copy_n(b + (p.b_rows ? p.b_rows[l] : l) * p.b_depth_stride, cols, panel + (l - first) * width);
  } else {
    for (index j = 0; j < cols; ++j)
      for (index l = first; l < last; ++l)
        panel[(l - first) * width + j] = b[(p.b_rows ? p.b_rows[l] : l) * p.b_depth_stride + j * p.b_col_stride];
  }
}

/// The size of a packed (outputs x inputs) weight, in elements.
template <class Arch, class T>
[[nodiscard]] constexpr index packed_size(index outputs, index inputs) {
  constexpr index width = panel_width<Arch, T>;
  return (outputs + width - 1) / width * width * inputs;
}

/// Packs a weight w (outputs x inputs) once for any number of forward products: panel after panel, each depth-major.
template <class Arch = xsimd::default_arch, class T>
void pack_panels(view<const T> w, T* panels) {
  constexpr index width = panel_width<Arch, T>;
  product<T> p;
  p.cols = w.rows, p.depth = w.cols;
  p.b = w.data, p.b_depth_stride = 1, p.b_col_stride = w.stride;
  for (index col = 0; col < p.cols; col += width) pack_panel<Arch>(p, col, 0, p.depth, panels + col * p.depth);
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
