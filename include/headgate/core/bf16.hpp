// SPDX-License-Identifier: BSD-3-Clause
// bfloat16, a number to store: the sign, the exponent and the first 7 fraction bits of a float.
#pragma once

#include <headgate/config.hpp>

#include <bit>
#include <cstdint>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Converts from float by rounding to nearest, ties to even; what rounds beyond the largest number becomes infinity, and a
/// NaN stays a NaN of the same sign. Converting back is exact.
struct bf16 {
  std::uint16_t bits = 0;

  bf16() = default;
  explicit bf16(float value) : bits(round(std::bit_cast<std::uint32_t>(value))) {}
  explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

 private:
  static std::uint16_t round(std::uint32_t word) {
    const bool is_nan = (word & 0x7fffffffU) > 0x7f800000U;
    // The quiet bit keeps a NaN whose fraction lies in the lower half from becoming an infinity.
    if (is_nan) return static_cast<std::uint16_t>(word >> 16 | 0x0040U);
    return static_cast<std::uint16_t>((word + 0x7fffU + (word >> 16 & 1U)) >> 16);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
