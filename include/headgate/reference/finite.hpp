// SPDX-License-Identifier: BSD-3-Clause
// Search for NaN and infinity in plain loops: what kernels/finite.hpp must find.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

#include <cmath>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace reference {

/// row * cols + column of the first NaN or infinity in reading order; -1 if there is none.
template <class T>
[[nodiscard]] index first_not_finite(view<T> x) {
  for (index r = 0; r < x.rows; ++r)
    for (index c = 0; c < x.cols; ++c)
      if (!std::isfinite(x(r, c))) return r * x.cols + c;
  return -1;
}

}  // namespace reference
}  // namespace HEADGATE_ABI
}  // namespace headgate
