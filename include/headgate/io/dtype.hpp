// SPDX-License-Identifier: BSD-3-Clause
// The element types of checkpoint files, and the exact widening of 16-bit floats.
#pragma once

#include <headgate/config.hpp>

#include <bit>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Element types as the safetensors format names them.
enum class dtype { boolean, u8, i8, f8_e4m3, f8_e5m2, f8_e8m0, u16, i16, f16, bf16, u32, i32, f32, u64, i64, f64 };

struct dtype_description {
  dtype type;
  std::string_view name;
  index bytes;
};

inline constexpr dtype_description dtypes[] = {  // in the order of the enumeration
    {dtype::boolean, "BOOL", 1},    {dtype::u8, "U8", 1},           {dtype::i8, "I8", 1},
    {dtype::f8_e4m3, "F8_E4M3", 1}, {dtype::f8_e5m2, "F8_E5M2", 1}, {dtype::f8_e8m0, "F8_E8M0", 1},
    {dtype::u16, "U16", 2},         {dtype::i16, "I16", 2},         {dtype::f16, "F16", 2},
    {dtype::bf16, "BF16", 2},       {dtype::u32, "U32", 4},         {dtype::i32, "I32", 4},
    {dtype::f32, "F32", 4},         {dtype::u64, "U64", 8},         {dtype::i64, "I64", 8},
    {dtype::f64, "F64", 8}};

/// Name and size of a type.
[[nodiscard]] constexpr const dtype_description& describe(dtype type) { return dtypes[static_cast<int>(type)]; }

/// The type of this name, if it is one of ours.
[[nodiscard]] constexpr std::optional<dtype> dtype_named(std::string_view name) {
  for (const dtype_description& one : dtypes)
    if (one.name == name) return one.type;
  return std::nullopt;
}

/// The type that holds a T: F32 for float, F64 for double.
template <class T>
  requires std::same_as<T, float> || std::same_as<T, double>
inline constexpr dtype dtype_of = std::same_as<T, float> ? dtype::f32 : dtype::f64;

/// The value of a bfloat16: the upper half of a float. Exact, NaN payloads included.
[[nodiscard]] constexpr float widen_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// The value of an IEEE 754 binary16 (1 sign, 5 exponent, 10 fraction bits). Exact, NaN payloads included.
[[nodiscard]] constexpr float widen_f16(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00u)  // infinity and NaN
    return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
  if (magnitude < 0x400u) {  // zero and denormals: fraction times 2^-24, which float holds as a normal number
    const float value = static_cast<float>(magnitude) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
  }
  return std::bit_cast<float>(sign | ((magnitude << 13) + ((127u - 15u) << 23)));
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
