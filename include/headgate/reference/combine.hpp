// SPDX-License-Identifier: BSD-3-Clause
// Combination of the experts' rows in plain loops: what kernels/combine.hpp must compute.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace reference {

/// y_t = [y_t +] sum over the slots i of token t of weights[i] rows_i, in slot order, for t in [first, last).
///
/// The slots of token t are slots[offsets[t]] ... slots[offsets[t + 1] - 1]. `weights` null means ones.
template <class T>
void combine_rows(read_view<T> rows, const index* offsets, const index* slots, const std::type_identity_t<T>* weights,
                  view<T> y, index first, index last, bool accumulate) {
  for (index t = first; t < last; ++t)
    for (index c = 0; c < y.cols; ++c) {
      T sum = accumulate ? y(t, c) : T{0};
      for (index i = offsets[t]; i < offsets[t + 1]; ++i)
        sum += (weights ? weights[slots[i]] : T{1}) * rows(slots[i], c);
      y(t, c) = sum;
    }
}

}  // namespace reference
}  // namespace HEADGATE_ABI
}  // namespace headgate
