// SPDX-License-Identifier: BSD-3-Clause
// Blocks turned over on their way from one buffer to another: rows of a weight into the steps of a panel.
#pragma once

#include <headgate/config.hpp>

#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

namespace detail {

#if HEADGATE_HAS_SHUFFLEVECTOR
typedef float eight_floats __attribute__((vector_size(32)));
typedef float eight_floats_anywhere __attribute__((vector_size(32), aligned(4), may_alias));

/// to[l * to_stride + j] = from[j * from_stride + l] for j, l < 8.
inline void transpose_8x8(const float* from, index from_stride, float* to, index to_stride) {
  // References: how such a vector is passed by value depends on the instruction set, and g++ warns of it.
  const auto get = [&](index j, eight_floats& v) {
    v = *reinterpret_cast<const eight_floats_anywhere*>(from + j * from_stride);
  };
  const auto put = [&](index l, const eight_floats& v) {
    *reinterpret_cast<eight_floats_anywhere*>(to + l * to_stride) = v;
  };
  eight_floats r0, r1, r2, r3, r4, r5, r6, r7;
  get(0, r0), get(1, r1), get(2, r2), get(3, r3), get(4, r4), get(5, r5), get(6, r6), get(7, r7);
  // Pairs of rows, then fours, each within halves of 128 bits, which the last step exchanges: 24 shuffles for 64 numbers.
#define HEADGATE_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HEADGATE_HIGH(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define HEADGATE_EVEN(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define HEADGATE_ODD(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
  const eight_floats a0 = HEADGATE_LOW(r0, r1), a1 = HEADGATE_HIGH(r0, r1), a2 = HEADGATE_LOW(r2, r3),
                     a3 = HEADGATE_HIGH(r2, r3);
  const eight_floats a4 = HEADGATE_LOW(r4, r5), a5 = HEADGATE_HIGH(r4, r5), a6 = HEADGATE_LOW(r6, r7),
                     a7 = HEADGATE_HIGH(r6, r7);
  const eight_floats b0 = HEADGATE_EVEN(a0, a2), b1 = HEADGATE_ODD(a0, a2), b2 = HEADGATE_EVEN(a1, a3),
                     b3 = HEADGATE_ODD(a1, a3);
  const eight_floats b4 = HEADGATE_EVEN(a4, a6), b5 = HEADGATE_ODD(a4, a6), b6 = HEADGATE_EVEN(a5, a7),
                     b7 = HEADGATE_ODD(a5, a7);
#undef HEADGATE_LOW
#undef HEADGATE_HIGH
#undef HEADGATE_EVEN
#undef HEADGATE_ODD
  const auto halves = [&](const eight_floats& x, const eight_floats& y, index l) {
    put(l, __builtin_shufflevector(x, y, 0, 1, 2, 3, 8, 9, 10, 11));
    put(l + 4, __builtin_shufflevector(x, y, 4, 5, 6, 7, 12, 13, 14, 15));
  };
  halves(b0, b4, 0), halves(b1, b5, 1), halves(b2, b6, 2), halves(b3, b7, 3);
}
#endif

}  // namespace detail

/// to[l * to_stride + j] = from[j * from_stride + l] for j < cols and l < steps.
template <class T>
void transpose(const T* from, index from_stride, index cols, index steps, T* to, index to_stride) {
  index whole_cols = 0, whole_steps = 0;
#if HEADGATE_HAS_SHUFFLEVECTOR
  if constexpr (std::is_same_v<T, float>) {
    whole_cols = cols / 8 * 8, whole_steps = steps / 8 * 8;
    for (index l = 0; l < whole_steps; l += 8)
      for (index j = 0; j < whole_cols; j += 8)
        detail::transpose_8x8(from + j * from_stride + l, from_stride, to + l * to_stride + j, to_stride);
  }
#endif
  for (index j = 0; j < cols; ++j)
    for (index l = j < whole_cols ? whole_steps : 0; l < steps; ++l) to[l * to_stride + j] = from[j * from_stride + l];
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
