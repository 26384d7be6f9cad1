// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/extent.hpp>

#include "support/catch.hpp"

#include <type_traits>

namespace hg = headgate;

namespace {

template <hg::index N, hg::index M>
struct shape {
  HEADGATE_NO_UNIQUE_ADDRESS hg::extent<N> model;
  HEADGATE_NO_UNIQUE_ADDRESS hg::extent<M> experts;
};

}  // namespace

TEST_CASE("an extent is a number at run time or at compile time", "[core][extent]") {
  hg::extent<> at_run_time = 5;
  CHECK(at_run_time == 5);
  at_run_time = 6;
  CHECK(at_run_time == 6);
  CHECK(hg::extent<>() == 0);
  constexpr hg::index known = hg::extent<8>();
  STATIC_REQUIRE(known == 8);
  STATIC_REQUIRE(hg::extent<8>(8) == 8);
  STATIC_REQUIRE(hg::extent<8>::is_static);
  STATIC_REQUIRE_FALSE(hg::extent<hg::dynamic>::is_static);
}

TEST_CASE("a static extent takes no room", "[core][extent]") {
  STATIC_REQUIRE(std::is_empty_v<hg::extent<4>>);
  STATIC_REQUIRE(std::is_empty_v<shape<4, 8>>);
  STATIC_REQUIRE(std::is_empty_v<shape<4, 4>>);
  STATIC_REQUIRE(sizeof(shape<hg::dynamic, 8>) == sizeof(hg::index));
  STATIC_REQUIRE(sizeof(shape<hg::dynamic, hg::dynamic>) == 2 * sizeof(hg::index));
}

TEST_CASE("a run-time size that contradicts the static one throws with both numbers", "[core][extent]") {
  CHECK_NOTHROW(shape<4, 8>{.model = 4, .experts = 8});
  CHECK_THROWS_AS((shape<4, 8>{.model = 5, .experts = 8}), std::invalid_argument);
  CHECK_THROWS_WITH(hg::extent<4>(5), "extent: the run-time size 5 contradicts the compile-time size 4");
  CHECK_THROWS_WITH(hg::extent<4>(-1), "extent: the run-time size -1 contradicts the compile-time size 4");
  const hg::extent<> from_elsewhere = 7;
  CHECK_THROWS_AS(hg::extent<4>(from_elsewhere), std::invalid_argument);
}

TEST_CASE("check_positive refuses sizes below 1 and says whose", "[core][extent]") {
  CHECK_NOTHROW(hg::check_positive("top_k", "k", 1));
  CHECK_THROWS_WITH(hg::check_positive("top_k", "k", 0), "top_k: k is 0, it must be at least 1");
  CHECK_THROWS_AS(hg::check_positive("top_k", "k", -3), std::invalid_argument);
}
