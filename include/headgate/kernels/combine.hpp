// SPDX-License-Identifier: BSD-3-Clause
// Combination: a token's row is the weighted sum of its experts' rows, in slot order.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>
#include <headgate/kernels/elementwise.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// y_t = [y_t +] sum over the slots i of token t of weights[i] * rows_i, for t in [first, last).
///
/// Slots of token t: slots[offsets[t]] ... slots[offsets[t + 1] - 1], added in this order, each with one fused
/// multiply-add per element: no atomics, and the same bits for any split of the tokens. `weights` null means ones.
template <class Arch = xsimd::default_arch, class T>
void combine_rows(view<const T> rows, const index* offsets, const index* slots, const T* weights, view<T> y,
                  index first, index last, bool accumulate) {
  for (index t = first; t < last; ++t) {
    T* const to = y.row(t);
    if (!accumulate) std::fill_n(to, y.cols, T{0});
    for (index i = offsets[t]; i < offsets[t + 1]; ++i)
      axpy_row<Arch>(weights ? weights[slots[i]] : T{1}, rows.row(slots[i]), to, y.cols);
  }
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
