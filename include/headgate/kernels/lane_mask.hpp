// SPDX-License-Identifier: BSD-3-Clause
// A vector of truths as the bits of an integer, which can be counted and walked through.
#pragma once

#include <headgate/config.hpp>
#include <headgate/kernels/lanes.hpp>

#include <xsimd/xsimd.hpp>

#include <cstdint>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// Bit i is set where lane i holds.
///
/// xsimd 8.1 has no such function (later ones: `mask()`), so x86 gets its one instruction here: top_k of 8 experts takes
/// 3.8 ns with it and 8.4 by the sum of powers of two below, of 64 experts 36 and 54.
template <class T, class Arch>
[[nodiscard]] HEADGATE_ALWAYS_INLINE std::uint32_t mask_of(const xsimd::batch_bool<T, Arch>& truths) {
  [[maybe_unused]] const typename xsimd::batch_bool<T, Arch>::register_type values = truths;
  if constexpr (requires { static_cast<std::uint32_t>(values); }) {  // AVX-512 keeps truths as bits
    return static_cast<std::uint32_t>(values);
  } else if constexpr (std::is_base_of_v<xsimd::avx, Arch> && sizeof(T) == 4) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(values));
  } else if constexpr (std::is_base_of_v<xsimd::avx, Arch>) {
    return static_cast<std::uint32_t>(_mm256_movemask_pd(values));
  } else if constexpr (std::is_base_of_v<xsimd::sse2, Arch> && sizeof(T) == 4) {
    return static_cast<std::uint32_t>(_mm_movemask_ps(values));
  } else if constexpr (std::is_base_of_v<xsimd::sse2, Arch>) {
    return static_cast<std::uint32_t>(_mm_movemask_pd(values));
  } else {
    alignas(64) T power[xsimd::batch<T, Arch>::size];
    for (index i = 0; i < vector_width<T, Arch>; ++i) power[i] = static_cast<T>(std::uint32_t{1} << i);
    alignas(64) T held[xsimd::batch<T, Arch>::size];
    xsimd::select(truths, xsimd::batch<T, Arch>::load_aligned(power), xsimd::batch<T, Arch>(T{0})).store_aligned(held);
    T sum{0};
    for (const T one : held) sum += one;  // small integers: exact
    return static_cast<std::uint32_t>(sum);
  }
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
