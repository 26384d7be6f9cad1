// SPDX-License-Identifier: BSD-3-Clause
// Checks of 16-bit number formats against rounding as textbooks define it, in double.
#pragma once

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace headgate_test {

/// A binary format: bits of fraction, exponent of the smallest normal number, exponent of the largest number.
struct number_format {
  int fraction, smallest, largest;
};

/// The value of a pattern, put together from sign, exponent and fraction; NaN for a NaN.
inline double decoded(number_format f, std::uint16_t bits) {
  const int exponents = 1 << (15 - f.fraction);
  const int exponent = (bits & 0x7fff) >> f.fraction;
  const int fraction = bits & ((1 << f.fraction) - 1);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == exponents - 1) return fraction ? not_a_number<double> : sign * infinity<double>;
  if (exponent == 0) return sign * std::ldexp(fraction, f.smallest - f.fraction);
  return sign * std::ldexp((1 << f.fraction) + fraction, f.smallest + exponent - 1 - f.fraction);
}

/// The nearest number of the format, the even one of two: v in units of the format's last place beside it, rounded to a
/// whole number. Exact, as v is a float.
inline double nearest(number_format f, double v) {
  if (v == 0 || !std::isfinite(v)) return v;
  const int exponent = (std::max)(std::ilogb(v), f.smallest);
  const double units = std::ldexp(std::abs(v), f.fraction - exponent);
  double whole = std::floor(units);
  const double rest = units - whole;
  if (rest > 0.5 || (rest == 0.5 && std::fmod(whole, 2) == 1)) whole += 1;
  double rounded = std::ldexp(whole, exponent - f.fraction);
  if (rounded >= std::ldexp(1.0, f.largest + 1)) rounded = infinity<double>;
  return std::copysign(rounded, v);
}

/// Every pattern has the value that the format gives it, and converting there and back changes none.
template <class Half>
void check_widening(number_format f) {
  int wrong_value = 0, wrong_way_back = 0, wrong_nan = 0;
  for (std::uint32_t i = 0; i < 0x10000; ++i) {
    Half half;
    half.bits = static_cast<std::uint16_t>(i);
    const float wide = static_cast<float>(half);
    const Half back(wide);
    const double expected = decoded(f, half.bits);
    if (std::isnan(expected)) {
      const bool sign = (i & 0x8000) != 0;
      const float again = static_cast<float>(back);
      wrong_nan += !std::isnan(wide) || std::signbit(wide) != sign || !std::isnan(again) || std::signbit(again) != sign;
    } else {
      wrong_value += !same_bits(static_cast<double>(wide), expected);
      wrong_way_back += back.bits != half.bits;
    }
  }
  CHECK(wrong_value == 0);
  CHECK(wrong_way_back == 0);
  CHECK(wrong_nan == 0);
}

/// True if v becomes the nearest number of the format.
template <class Half>
bool rounds_to_nearest(number_format f, float v) {
  return same_bits(static_cast<double>(static_cast<float>(Half(v))), nearest(f, static_cast<double>(v)));
}

/// Both sides of the middle between any two neighbours go to the nearer one, the middle to the even one. The number above
/// the largest is what the format would have next, which is infinity.
template <class Half>
void check_boundaries(number_format f) {
  const int last = 0x7fff >> f.fraction << f.fraction;  // infinity
  int wrong = 0;
  for (int i = 0; i < last; ++i)
    for (const int sign : {0, 0x8000}) {
      const double one = decoded(f, static_cast<std::uint16_t>(i | sign));
      const double other = i + 1 < last ? decoded(f, static_cast<std::uint16_t>((i + 1) | sign))
                                        : std::copysign(std::ldexp(1.0, f.largest + 1), one);
      const float middle = static_cast<float>((one + other) / 2);
      const float inside = std::nextafter(middle, 0.0F);
      const float outside = std::nextafter(middle, std::copysign(infinity<float>, middle));
      wrong += Half(inside).bits != (i | sign);
      wrong += Half(middle).bits != ((i % 2 ? i + 1 : i) | sign);
      wrong += Half(outside).bits != ((i + 1) | sign);
      wrong += !rounds_to_nearest<Half>(f, middle);  // the textbook agrees with the definition
    }
  CHECK(wrong == 0);
}

/// A million floats spread evenly over all patterns, and as many at random.
template <class Half>
void check_rounding(number_format f) {
  numbers next(1);
  int wrong = 0, wrong_nan = 0;
  const auto check = [&](std::uint32_t word) {
    const float v = std::bit_cast<float>(word);
    if (std::isnan(v)) {
      const float rounded = static_cast<float>(Half(v));
      wrong_nan += !std::isnan(rounded) || std::signbit(rounded) != std::signbit(v);
    } else {
      wrong += !rounds_to_nearest<Half>(f, v);
    }
  };
  for (std::uint64_t word = 0; word < std::uint64_t{1} << 32; word += 4093) check(static_cast<std::uint32_t>(word));
  for (int i = 0; i < 1000000; ++i) check(static_cast<std::uint32_t>(next.bits() >> 32));
  // NaNs whose fraction lies in the bits that are cut off alone.
  for (std::uint32_t bit = 0; bit < 23; ++bit)
    for (const std::uint32_t sign : {0U, 0x80000000U}) check(sign | 0x7f800000U | 1U << bit);
  CHECK(wrong == 0);
  CHECK(wrong_nan == 0);
}

}  // namespace headgate_test
