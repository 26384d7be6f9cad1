// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/bf16.hpp>

#include "support/rounding_checks.hpp"

#include <type_traits>

using namespace headgate_test;

namespace {

constexpr number_format format{.fraction = 7, .smallest = -126, .largest = 127};

std::uint16_t bits_of(float v) { return hg::bf16(v).bits; }

}  // namespace

TEST_CASE("all bf16 patterns widen to their value and come back, NaN as NaN of its sign", "[core][bf16]") {
  check_widening<hg::bf16>(format);
}

TEST_CASE("bf16 rounds to nearest, ties to even, between any two neighbours", "[core][bf16]") {
  check_boundaries<hg::bf16>(format);
}

TEST_CASE("bf16 rounds all kinds of floats as a textbook does", "[core][bf16]") { check_rounding<hg::bf16>(format); }

TEST_CASE("bf16 keeps zeros, infinities and denormals, and large floats become infinity", "[core][bf16]") {
  CHECK(bits_of(0.0F) == 0x0000);
  CHECK(bits_of(-0.0F) == 0x8000);
  CHECK(bits_of(1.0F) == 0x3f80);
  CHECK(bits_of(-1.5F) == 0xbfc0);
  CHECK(bits_of(infinity<float>) == 0x7f80);
  CHECK(bits_of(-infinity<float>) == 0xff80);
  CHECK(bits_of((std::numeric_limits<float>::max)()) == 0x7f80);
  CHECK(bits_of(std::numeric_limits<float>::lowest()) == 0xff80);
  CHECK(bits_of(0x1.fep127F) == 0x7f7f);                               // the largest
  CHECK(bits_of(0x1p-133F) == 0x0001);                                 // the smallest
  CHECK(bits_of(0x1p-134F) == 0x0000);                                 // half of it: a tie, to even
  CHECK(bits_of(std::numeric_limits<float>::denorm_min()) == 0x0000);  // far below
  CHECK(std::isnan(static_cast<float>(hg::bf16(not_a_number<float>))));
}

TEST_CASE("bf16 is two plain bytes that convert on demand only", "[core][bf16]") {
  CHECK((sizeof(hg::bf16) == 2 && std::is_trivially_copyable_v<hg::bf16>));
  CHECK_FALSE(std::is_convertible_v<float, hg::bf16>);
  CHECK_FALSE(std::is_convertible_v<hg::bf16, float>);
  CHECK(hg::bf16{}.bits == 0);
}
