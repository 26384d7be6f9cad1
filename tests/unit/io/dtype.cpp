// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/dtype.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

namespace hg = headgate;

namespace {

/// The value of a 16-bit float from its definition, with `exponent_bits` exponent and the rest fraction bits.
double by_definition(std::uint32_t bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = (bits >> 15) != 0 ? -1.0 : 1.0;
  const int exponent = static_cast<int>((bits >> fraction_bits) & ((1u << exponent_bits) - 1));
  const double fraction = std::ldexp(bits & ((1u << fraction_bits) - 1), -fraction_bits);
  if (exponent == (1 << exponent_bits) - 1)
    return fraction == 0.0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias);
  return sign * std::ldexp(1.0 + fraction, exponent - bias);
}

bool agrees(float found, double expected) {
  if (std::isnan(expected)) return std::isnan(found);
  return static_cast<double>(found) == expected && std::signbit(found) == std::signbit(expected);
}

}  // namespace

TEST_CASE("All 65536 bfloat16 and all 65536 binary16 numbers widen to their exact value", "[io][dtype]") {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    if (!agrees(hg::widen_bf16(static_cast<std::uint16_t>(bits)), by_definition(bits, 8))) ++wrong;
    if (!agrees(hg::widen_f16(static_cast<std::uint16_t>(bits)), by_definition(bits, 5))) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("Widening keeps sign and payload of a NaN", "[io][dtype]") {
  CHECK(std::bit_cast<std::uint32_t>(hg::widen_f16(0xfe2a)) == 0xffc54000u);
  CHECK(std::bit_cast<std::uint32_t>(hg::widen_f16(0x7c01)) == 0x7f802000u);
  CHECK(std::bit_cast<std::uint32_t>(hg::widen_bf16(0xffd5)) == 0xffd50000u);
}

TEST_CASE("Element types are found by their name and know their size", "[io][dtype]") {
  for (const hg::dtype_description& one : hg::dtypes) {
    CAPTURE(std::string(one.name));
    CHECK(hg::dtype_named(one.name) == one.type);
    CHECK(hg::describe(one.type).name == one.name);
  }
  CHECK(hg::describe(hg::dtype::bf16).bytes == 2);
  CHECK(hg::describe(hg::dtype::i64).bytes == 8);
  CHECK(hg::describe(hg::dtype::f8_e4m3).bytes == 1);
  CHECK_FALSE(hg::dtype_named("f32"));
  CHECK_FALSE(hg::dtype_named(""));
}

static_assert(hg::dtype_of<float> == hg::dtype::f32 && hg::dtype_of<double> == hg::dtype::f64);
