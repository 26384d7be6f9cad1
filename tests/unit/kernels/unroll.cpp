// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/unroll.hpp>

#include "support/catch.hpp"

#include <array>
#include <vector>

namespace k = headgate::kernels;

TEST_CASE("unroll calls once for each number, in order, with constants", "[kernels][unroll]") {
  std::vector<std::size_t> seen;
  const std::array<int, 3> values{10, 20, 30};
  int sum = 0;
  k::unroll<3>([&](auto i) {
    static_assert(decltype(i)::value < 3);
    seen.push_back(i());
    sum += std::get<decltype(i)::value>(values);
  });
  CHECK(seen == std::vector<std::size_t>{0, 1, 2});
  CHECK(sum == 60);
}

TEST_CASE("unroll of one is one call, of zero none", "[kernels][unroll]") {
  int calls = 0;
  const auto count = [&](auto) { ++calls; };
  k::unroll<1>(count);
  CHECK(calls == 1);
  k::unroll<0>(count);
  CHECK(calls == 1);
}
