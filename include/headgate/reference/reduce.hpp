// SPDX-License-Identifier: BSD-3-Clause
// Reductions of a row in plain loops: what kernels/reduce.hpp must compute, up to the order of the sum.
#pragma once

#include <headgate/config.hpp>

#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace reference {

template <class T>
[[nodiscard]] T sum_row(const T* x, index n) {
  T sum = 0;
  for (index i = 0; i < n; ++i) sum += x[i];
  return sum;
}

template <class T>
[[nodiscard]] T dot_row(const T* x, const T* y, index n) {
  T sum = 0;
  for (index i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

/// -inf for n = 0.
template <class T>
[[nodiscard]] T max_row(const T* x, index n) {
  T largest = -std::numeric_limits<T>::infinity();
  for (index i = 0; i < n; ++i)
    if (x[i] > largest) largest = x[i];
  return largest;
}

}  // namespace reference
}  // namespace HEADGATE_ABI
}  // namespace headgate
