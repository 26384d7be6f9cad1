// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/lane_mask.hpp>

#include <array>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

using namespace headgate_test;

TEMPLATE_TEST_CASE("mask_of sets the bit of each lane that holds, and no other", "[kernels][lane_mask]", float,
                   double) {
  using batch = xsimd::batch<TestType>;
  for (std::uint32_t bits = 0; bits < (std::uint32_t{1} << (std::min)(width<TestType>, hg::index{8})); ++bits) {
    std::array<TestType, batch::size> lane{};
    for (std::size_t i = 0; i < lane.size(); ++i) lane[i] = (bits >> i & 1) != 0 ? TestType{1} : TestType{-1};
    REQUIRE(hg::kernels::mask_of(batch::load_unaligned(lane.data()) > batch(TestType{0})) == bits);
  }
}

TEMPLATE_TEST_CASE("mask_of has no bit for a comparison with NaN", "[kernels][lane_mask]", float, double) {
  using batch = xsimd::batch<TestType>;
  CHECK(hg::kernels::mask_of(batch(not_a_number<TestType>) >= batch(TestType{0})) == 0);
  CHECK(hg::kernels::mask_of(batch(TestType{0}) == batch(-TestType{0})) == (std::uint32_t{1} << width<TestType>)-1);
}
