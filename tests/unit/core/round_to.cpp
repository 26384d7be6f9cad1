// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/round_to.hpp>

#include <headgate/core/bf16.hpp>
#include <headgate/core/fp16.hpp>

#include "support/catch.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace hg = headgate;

TEST_CASE("round_to of a float is the conversion to the storage and back", "[core][round_to]") {
  std::uint32_t bits = 1;
  for (int i = 0; i < 100000; ++i) {
    bits = bits * 1664525U + 1013904223U;
    const auto x = std::bit_cast<float>(bits);
    if (x != x) continue;
    CHECK(hg::round_to<hg::bf16>(x) == static_cast<float>(hg::bf16(x)));
    CHECK(hg::round_to<hg::fp16>(x) == static_cast<float>(hg::fp16(x)));
    CHECK(hg::round_to<float>(x) == x);
  }
}

TEST_CASE("round_to rounds ties to even", "[core][round_to]") {
  CHECK(hg::round_to<hg::bf16>(1.0 + 0x1p-8) == 1.0);
  CHECK(hg::round_to<hg::bf16>(1.0 + 3 * 0x1p-8) == 1.0 + 4 * 0x1p-8);
  CHECK(hg::round_to<hg::fp16>(1.0F + 0x1p-11F) == 1.0F);
  CHECK(hg::round_to<float>(1.0 + 0x1p-24) == 1.0);
}

TEST_CASE("a double is rounded once: what is not quite a tie is none", "[core][round_to]") {
  for (const double sign : {1.0, -1.0}) {
    CHECK(hg::round_to<hg::bf16>(sign * (1 + 0x1p-8 + 0x1p-40)) == sign * (1 + 0x1p-7));
    CHECK(hg::round_to<hg::bf16>(sign * (1 + 3 * 0x1p-8 - 0x1p-40)) == sign * (1 + 0x1p-7));
    CHECK(hg::round_to<hg::fp16>(sign * (1 + 0x1p-11 + 0x1p-40)) == sign * (1 + 0x1p-10));
    CHECK(hg::round_to<hg::fp16>(sign * (0x1p-25 + 0x1p-60)) == sign * 0x1p-24);  // half of the smallest, and more
    CHECK(hg::round_to<hg::fp16>(sign * (0x1p-25)) == 0);
  }
}

TEST_CASE("round_to keeps zeros, infinities and NaN, and what is too large becomes infinite", "[core][round_to]") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (const double x : {0.0, infinity, -infinity}) {
    CHECK(hg::round_to<hg::bf16>(x) == x);
    CHECK(hg::round_to<hg::fp16>(x) == x);
  }
  CHECK(std::signbit(hg::round_to<hg::bf16>(-0.0)));
  CHECK(hg::round_to<hg::bf16>(1e300) == infinity);
  CHECK(hg::round_to<hg::fp16>(-65520.0) == -infinity);
  CHECK(hg::round_to<hg::fp16>(65519.999) == 65504);
  CHECK(std::isnan(hg::round_to<hg::bf16>(std::nan(""))));
  CHECK(hg::round_to<hg::bf16>(5e-324) == 0);
}
