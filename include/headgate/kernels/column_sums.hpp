// SPDX-License-Identifier: BSD-3-Clause
// Sums over rows: the gradient of a bias.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// sums[c] += x(0, c) + x(1, c) + ... , row after row.
template <class T>
void add_column_sums(view<const T> x, T* sums) {
  for (index r = 0; r < x.rows; ++r)
    for (index c = 0; c < x.cols; ++c) sums[c] += x(r, c);
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
