// SPDX-License-Identifier: BSD-3-Clause
// Rows collected by an index list, in plain loops: what kernels/gather_rows.hpp must compute.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace reference {

/// y_i = x_{ids[i]}.
template <class T>
void gather_rows(read_view<T> x, const index* ids, view<T> y) {
  for (index i = 0; i < y.rows; ++i)
    for (index c = 0; c < y.cols; ++c) y(i, c) = x(ids[i], c);
}

/// y_i = weights[i] x_{ids[i]}.
template <class T>
void gather_scaled_rows(read_view<T> x, const index* ids, const T* weights, view<T> y) {
  for (index i = 0; i < y.rows; ++i)
    for (index c = 0; c < y.cols; ++c) y(i, c) = weights[i] * x(ids[i], c);
}

}  // namespace reference
}  // namespace HEADGATE_ABI
}  // namespace headgate
