// SPDX-License-Identifier: BSD-3-Clause
// Combination: a token's row is the weighted sum of its experts' rows, in slot order.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

#include <xsimd/xsimd.hpp>

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
  using batch = xsimd::batch<T, Arch>;
  constexpr index lanes = static_cast<index>(batch::size);
  const index vectors_end = y.cols / lanes * lanes;
  for (index t = first; t < last; ++t) {
    T* const to = y.row(t);
    if (!accumulate)
      for (index c = 0; c < y.cols; ++c) to[c] = T{0};
    for (index i = offsets[t]; i < offsets[t + 1]; ++i) {
      const T* const from = rows.row(slots[i]);
      const T weight = weights ? weights[slots[i]] : T{1};
      for (index c = 0; c < vectors_end; c += lanes)
        xsimd::fma(batch(weight), batch::load_unaligned(from + c), batch::load_unaligned(to + c)).store_unaligned(to + c);
      for (index c = vectors_end; c < y.cols; ++c) to[c] = xsimd::fma(weight, from[c], to[c]);
    }
  }
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
