// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/fp16.hpp>

#include "support/rounding_checks.hpp"

#include <type_traits>

using namespace headgate_test;

namespace {

constexpr number_format format{.fraction = 10, .smallest = -14, .largest = 15};

std::uint16_t bits_of(float v) { return hg::fp16(v).bits; }

}  // namespace

TEST_CASE("all fp16 patterns widen to their value and come back, NaN as NaN of its sign", "[core][fp16]") {
  check_widening<hg::fp16>(format);
}

TEST_CASE("fp16 rounds to nearest, ties to even, between any two neighbours", "[core][fp16]") {
  check_boundaries<hg::fp16>(format);
}

TEST_CASE("fp16 rounds all kinds of floats as a textbook does", "[core][fp16]") {
  check_rounding<hg::fp16>(format);
  // Most floats are beyond fp16: a million within it, denormals included.
  numbers next(2);
  int wrong = 0;
  for (int i = 0; i < 1000000; ++i) {
    const float v = std::ldexp(next.within(1.0F), static_cast<int>(next.below(45)) - 28);
    wrong += !rounds_to_nearest<hg::fp16>(format, v);
  }
  CHECK(wrong == 0);
}

TEST_CASE("fp16 keeps zeros, infinities and denormals, and 65520 is the first float that becomes infinity",
          "[core][fp16]") {
  CHECK(bits_of(0.0F) == 0x0000);
  CHECK(bits_of(-0.0F) == 0x8000);
  CHECK(bits_of(1.0F) == 0x3c00);
  CHECK(bits_of(-1.5F) == 0xbe00);
  CHECK(bits_of(infinity<float>) == 0x7c00);
  CHECK(bits_of(-infinity<float>) == 0xfc00);
  CHECK(bits_of(65504.0F) == 0x7bff);  // the largest
  CHECK(bits_of(std::nextafter(65520.0F, 0.0F)) == 0x7bff);
  CHECK(bits_of(65520.0F) == 0x7c00);
  CHECK(bits_of(-65520.0F) == 0xfc00);
  CHECK(bits_of((std::numeric_limits<float>::max)()) == 0x7c00);
  CHECK(bits_of(0x1p-14F) == 0x0400);                        // the smallest normal number
  CHECK(bits_of(std::nextafter(0x1p-14F, 0.0F)) == 0x0400);  // rounds up to it
  CHECK(bits_of(0x1p-24F) == 0x0001);                        // the smallest
  CHECK(bits_of(-0x1p-24F) == 0x8001);
  CHECK(bits_of(0x1p-25F) == 0x0000);  // half of it: a tie, to even
  CHECK(bits_of(std::nextafter(0x1p-25F, 1.0F)) == 0x0001);
  CHECK(bits_of(0x1.8p-24F) == 0x0002);  // a tie, to even
  CHECK(bits_of(std::numeric_limits<float>::denorm_min()) == 0x0000);
  CHECK(std::isnan(static_cast<float>(hg::fp16(not_a_number<float>))));
}

TEST_CASE("fp16 is two plain bytes that convert on demand only", "[core][fp16]") {
  CHECK((sizeof(hg::fp16) == 2 && std::is_trivially_copyable_v<hg::fp16>));
  CHECK_FALSE(std::is_convertible_v<float, hg::fp16>);
  CHECK_FALSE(std::is_convertible_v<hg::fp16, float>);
  CHECK(hg::fp16{}.bits == 0);
}
