// SPDX-License-Identifier: BSD-3-Clause
// IEEE 754 half precision, a number to store: sign, 5 bits of exponent, 10 of fraction.
#pragma once

#include <headgate/config.hpp>

#include <bit>
#include <cstdint>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Converts from float by rounding to nearest, ties to even, denormals included; what rounds beyond 65504 becomes
/// infinity, and a NaN stays a NaN of the same sign. Converting back is exact.
struct fp16 {
  std::uint16_t bits = 0;

  fp16() = default;
  explicit fp16(float value) : bits(round(std::bit_cast<std::uint32_t>(value))) {}

  explicit operator float() const {
    const std::uint32_t magnitude = (bits & 0x7fffU) << 13;
    const std::uint32_t sign = (bits & 0x8000U) << 16;
    // Exponent and fraction where a float has them are the value times 2^-112, denormals included.
    const float value = std::bit_cast<float>(magnitude) * 0x1p112F;
    const std::uint32_t word = value >= 0x1p16F ? magnitude | 0x7f800000U : std::bit_cast<std::uint32_t>(value);
    return std::bit_cast<float>(word | sign);
  }

 private:
  static std::uint16_t round(std::uint32_t word) {
    const std::uint32_t sign = word >> 16 & 0x8000U;
    const std::uint32_t magnitude = word & 0x7fffffffU;
    std::uint32_t half = 0;
    if (magnitude > 0x7f800000U) {
      half = 0x7e00U | (magnitude >> 13 & 0x3ffU);
    } else if (magnitude >= 0x477ff000U) {  // 65520 and more round to 65536, which is infinity here
      half = 0x7c00U;
    } else if (magnitude < 0x38800000U) {
      // Below 2^-14: beside 0.5 a float's last bit is worth 2^-24, as a denormal half's is, so the addition rounds.
      half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3f000000U;
    } else {
      half = (magnitude - (112U << 23) + 0xfffU + (magnitude >> 13 & 1U)) >> 13;
    }
    return static_cast<std::uint16_t>(half | sign);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
