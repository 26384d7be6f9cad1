// SPDX-License-Identifier: BSD-3-Clause
// The exponential function by the standard library, in its widest type: what kernels/exp.hpp must compute.
#pragma once

#include <headgate/config.hpp>

#include <cmath>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace reference {

/// e^x, with more digits than T has where long double has them: 1 ulp of T is then told from 1.01.
template <class T>
[[nodiscard]] long double exp(T x) {
  return std::exp(static_cast<long double>(x));
}

}  // namespace reference
}  // namespace HEADGATE_ABI
}  // namespace headgate
