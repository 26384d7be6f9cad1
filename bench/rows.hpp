// SPDX-License-Identifier: BSD-3-Clause
// What benchmarks of kernels share.
#pragma once

#include <headgate/core/matrix.hpp>

#include <benchmark/benchmark.h>

#include <cmath>

namespace headgate_bench {

namespace hg = headgate;

/// (rows x cols) of numbers in [-3, 3) without a pattern a branch predictor could learn; the same in every run.
template <class T>
hg::matrix<T> some_matrix(hg::index rows, hg::index cols) {
  hg::matrix<T> m(rows, cols);
  double number = 0.5;
  for (hg::index r = 0; r < rows; ++r)
    for (hg::index c = 0; c < cols; ++c) {
      number = std::fmod(number * 997.0 + 0.618033988749895, 1.0);
      m(r, c) = static_cast<T>(6 * number - 3);
    }
  return m;
}

/// Rows per second, which for a router's kernels are tokens per second, and the bytes that have to move.
inline void count_rows(benchmark::State& state, hg::index rows, hg::index bytes) {
  state.SetItemsProcessed(state.iterations() * rows);
  state.SetBytesProcessed(state.iterations() * bytes);
}

}  // namespace headgate_bench
