// SPDX-License-Identifier: BSD-3-Clause
// How the weights of a panel are stored, and how a step of a panel becomes two vectors.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/bf16.hpp>
#include <headgate/core/fp16.hpp>

#include <xsimd/xsimd.hpp>

#include <concepts>
#include <cstdint>

#if HEADGATE_HAS_F16C
#include <immintrin.h>  // _mm256_cvtph_ps
#endif

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// The columns of one panel: two vectors.
template <class Arch, class T>
inline constexpr index panel_width = 2 * static_cast<index>(xsimd::batch<T, Arch>::size);

/// A step of a panel is `panel_width` elements of type Storage, the weights of one inner index. `position(j)` is where
/// column j lies within the step; `load` widens the step to T, exactly. Weights of any storage are multiplied and added
/// in T. Storages of blocks (8 and 4 bits with scales) will need the inner index too.
template <class Arch, class T, class Storage>
struct panel_storage;

/// Unconverted.
template <class Arch, std::floating_point T>
struct panel_storage<Arch, T, T> {
  using batch = xsimd::batch<T, Arch>;

  static constexpr index position(index column) { return column; }
  HEADGATE_ALWAYS_INLINE static void load(const T* step, batch& low, batch& high) {
    low = batch::load_unaligned(step);
    high = batch::load_unaligned(step + batch::size);
  }
};

namespace detail {

/// Column j of the low vector and column j of the high one lie side by side, as the two halves of a 32-bit word: each
/// vector then takes one shift or mask of the words, and no crossing of lanes.
template <class Arch>
constexpr index position_in_words(index column) {
  constexpr index lanes = static_cast<index>(xsimd::batch<float, Arch>::size);
  return column < lanes ? 2 * column : 2 * (column - lanes) + 1;
}

template <class Arch>
using words = xsimd::batch<std::uint32_t, Arch>;

}  // namespace detail

/// bfloat16: the upper half of a float.
template <class Arch>
struct panel_storage<Arch, float, bf16> {
  using batch = xsimd::batch<float, Arch>;
  using words = detail::words<Arch>;

  static constexpr index position(index column) { return detail::position_in_words<Arch>(column); }
  HEADGATE_ALWAYS_INLINE static void load(const bf16* step, batch& low, batch& high) {
    const words both = words::load_unaligned(reinterpret_cast<const std::uint32_t*>(step));
    low = xsimd::bitwise_cast<batch>(both << 16);
    high = xsimd::bitwise_cast<batch>(both & words(0xffff0000U));
  }
};

/// IEEE half precision.
template <class Arch>
struct panel_storage<Arch, float, fp16> {
  using batch = xsimd::batch<float, Arch>;
  using words = detail::words<Arch>;

#if HEADGATE_HAS_F16C
  static constexpr bool in_hardware = sizeof(batch) == sizeof(__m256);
#else
  static constexpr bool in_hardware = false;
#endif

  static constexpr index position(index column) {
    return in_hardware ? column : detail::position_in_words<Arch>(column);
  }
  HEADGATE_ALWAYS_INLINE static void load(const fp16* step, batch& low, batch& high) {
#if HEADGATE_HAS_F16C
    if constexpr (in_hardware) {
      low = batch(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(step))));
      high = batch(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(step) + 1)));
      return;
    }
#endif
    const words both = words::load_unaligned(reinterpret_cast<const std::uint32_t*>(step));
    low = widen(both << 16);
    high = widen(both & words(0xffff0000U));
  }

 private:
  /// The half in the upper 16 bits of each word. Its exponent and fraction, moved to where a float has them, are the
  /// value times 2^-112, denormals included; multiplying is exact. Exponent 31 is infinity or NaN: it becomes 255.
  HEADGATE_ALWAYS_INLINE static batch widen(words half) {
    const words magnitude = (half & words(0x7fff0000U)) >> 3;
    const batch value = xsimd::bitwise_cast<batch>(magnitude) * batch(0x1p112F);
    const batch special = xsimd::bitwise_cast<batch>(magnitude | words(0x7f800000U));
    const batch chosen = xsimd::select(value >= batch(0x1p16F), special, value);
    return xsimd::bitwise_cast<batch>(xsimd::bitwise_cast<words>(chosen) | (half & words(0x80000000U)));
  }
};

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
