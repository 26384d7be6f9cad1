// SPDX-License-Identifier: BSD-3-Clause
// The three matrix products of a linear layer in plain loops: what kernels/gemm.hpp must compute.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace reference {

/// y = x w' [+ bias]: y_ij = bias_j + sum_l x_il w_jl, with y (rows x outputs), x (rows x inputs) and
/// w (outputs x inputs).
///
/// Row i of y comes from row x_rows[i] of x, or from row i if x_rows is null; a null bias is zero.
template <class T>
void times_transposed(read_view<T> x, const index* x_rows, read_view<T> w, view<T> y,
                      const std::type_identity_t<T>* bias = nullptr) {
  for (index i = 0; i < y.rows; ++i)
    for (index j = 0; j < y.cols; ++j) {
      T sum = bias ? bias[j] : T{0};
      for (index l = 0; l < w.cols; ++l) sum += x(x_rows ? x_rows[i] : i, l) * w(j, l);
      y(i, j) = sum;
    }
}

/// dx = dy w, or dx += dy w: dx_il = sum_j dy_ij w_jl, with dx (rows x inputs), dy (rows x outputs).
template <class T>
void times(read_view<T> dy, read_view<T> w, view<T> dx, bool accumulate) {
  for (index i = 0; i < dx.rows; ++i)
    for (index l = 0; l < dx.cols; ++l) {
      T sum = accumulate ? dx(i, l) : T{0};
      for (index j = 0; j < w.rows; ++j) sum += dy(i, j) * w(j, l);
      dx(i, l) = sum;
    }
}

/// dw += dy' x: dw_jl += sum_i dy_ij x_il, with dw (outputs x inputs). x_rows as in times_transposed.
template <class T>
void add_transposed_times(read_view<T> dy, read_view<T> x, const index* x_rows, view<T> dw) {
  for (index j = 0; j < dw.rows; ++j)
    for (index l = 0; l < dw.cols; ++l)
      for (index i = 0; i < dy.rows; ++i) dw(j, l) += dy(i, j) * x(x_rows ? x_rows[i] : i, l);
}

}  // namespace reference
}  // namespace HEADGATE_ABI
}  // namespace headgate
