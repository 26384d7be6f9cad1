// SPDX-License-Identifier: BSD-3-Clause
// Rows collected by an index list: tokens into expert order.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>
#include <headgate/kernels/elementwise.hpp>
#include <headgate/kernels/lanes.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// y_i = x_{ids[i]} for the rows i of y (rows x cols). An id may occur any number of times. y must not overlap x.
template <class Arch = xsimd::default_arch, class T>
void gather_rows(read_view<T> x, const index* ids, view<T> y) {
  for (index i = 0; i < y.rows; ++i) std::copy_n(x.row(ids[i]), y.cols, y.row(i));
}

/// y_i = weights[i] x_{ids[i]}. y must not overlap x.
template <class Arch = xsimd::default_arch, class T>
void gather_scaled_rows(read_view<T> x, const index* ids, const T* weights, view<T> y) {
  for (index i = 0; i < y.rows; ++i) scale_row<Arch>(weights[i], x.row(ids[i]), y.row(i), y.cols);
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
