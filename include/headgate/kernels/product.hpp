// SPDX-License-Identifier: BSD-3-Clause
// Operands of the grouped matrix product.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// C (rows x cols) = A (rows x depth) B (depth x cols), added to zero, to a bias row, or (`accumulate`) to what C holds,
/// which leaves a bias unread. Describes memory; the makers below are its users' vocabulary. Strides count elements; a list
/// of row numbers, where there is one, is followed instead of 0, 1, 2 ...
///
/// A pair is two products with one A, computed together: gate and up projection of a GLU. Its C exists only as registers
/// that a finish turns into something else.
template <class T, class Storage = T>
struct product {
  index rows = 0;
  index cols = 0;
  index depth = 0;

  const T* a = nullptr;  ///< A(i, l) = a[a_rows[i] * a_row_stride + l * a_depth_stride]
  const index* a_rows = nullptr;
  index a_row_stride = 0;
  index a_depth_stride = 0;

  const T* b = nullptr;       ///< B(l, j) = b[b_rows[l] * b_depth_stride + j * b_col_stride]
  const T* b_pair = nullptr;  ///< the second B of a pair, laid out as the first
  const index* b_rows = nullptr;
  index b_depth_stride = 0;
  index b_col_stride = 0;
  const Storage* panels = nullptr;  ///< B as `pack_panels` leaves it; used instead of b and b_pair

  T* c = nullptr;  ///< C(i, j) = c[i * c_stride + j]
  index c_stride = 0;
  const T* bias = nullptr;  ///< (1 x cols), or null
  const T* bias_pair = nullptr;
  bool paired = false;
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

/// B alone, of x w' [+ bias]: what can be packed before there is an x.
template <class T>
[[nodiscard]] product<T> of_weight(read_view<T> w, const T* bias = nullptr) {
  return times_transposed<T>({}, nullptr, w, {}, bias);
}

/// The pair x w' [+ bias] and x v' [+ bias_pair], w and v of one shape. It has no C: its finish must not be `store_c`.
template <class T>
[[nodiscard]] product<T> pair_times_transposed(read_view<T> x, const index* x_rows, index rows, read_view<T> w,
                                               read_view<T> v, const T* bias = nullptr, const T* bias_pair = nullptr) {
  product<T> p = times_transposed<T>(x, x_rows, w, view<T>(nullptr, rows, w.rows), bias);
  p.b_pair = v.data, p.bias_pair = bias_pair, p.paired = true;
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

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
