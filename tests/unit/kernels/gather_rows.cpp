// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/gather_rows.hpp>
#include <headgate/reference/gather_rows.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

TEMPLATE_TEST_CASE("gather_rows copies the listed rows, repeated and in any order", "[kernels][gather_rows]", float,
                   double) {
  for (hg::index cols = 0; cols <= longest_row<TestType>; ++cols) {
    guarded<TestType> x(4, cols, 1, 2), y(5, cols, 3, 1), scaled(5, cols, 2, 3);
    TestType next = 0;
    x.fill([&] { return next++; });
    const std::vector<hg::index> ids{2, 0, 2, 3, 1};
    const std::vector<TestType> weights{1, -2, TestType(0.5), 0, 4};
    k::gather_rows(x.view(), ids.data(), y.view());
    k::gather_scaled_rows(x.view(), ids.data(), weights.data(), scaled.view());
    bool right = true;
    for (hg::index i = 0; i < 5; ++i)
      for (hg::index c = 0; c < cols; ++c) {
        const auto from = static_cast<TestType>(ids[static_cast<std::size_t>(i)] * cols + c);
        right = right && y(i, c) == from && scaled(i, c) == weights[static_cast<std::size_t>(i)] * from;
      }
    REQUIRE(right);
    REQUIRE(y.guards_are_intact());
    REQUIRE(scaled.guards_are_intact());
  }
}

TEMPLATE_TEST_CASE("gathering no rows writes nothing", "[kernels][gather_rows]", float, double) {
  guarded<TestType> x(2, 3), y(0, 3);
  const TestType* const no_weights = nullptr;
  k::gather_rows(x.view(), nullptr, y.view());
  k::gather_scaled_rows(x.view(), nullptr, no_weights, y.view());
  CHECK(y.guards_are_intact());
}

TEMPLATE_TEST_CASE("gather_scaled_rows has the bits of the plain loops, also for denormals, infinities and NaN",
                   "[kernels][gather_rows]", float, double) {
  numbers next(1);
  for (hg::index cols = 0; cols <= longest_row<TestType>; ++cols)
    for (hg::index offset = 0; offset < width<TestType>; ++offset) {
      guarded<TestType> x(6, cols, offset), y(9, cols, 1), expected(9, cols);
      x.fill([&] { return next.template awkward<TestType>(); });
      std::vector<hg::index> ids;
      std::vector<TestType> weights;
      for (int i = 0; i < 9; ++i) {
        ids.push_back(next.below(6));
        weights.push_back(next.within(TestType{1}));
      }
      k::gather_scaled_rows(x.view(), ids.data(), weights.data(), y.view());
      hg::reference::gather_scaled_rows(x.view(), ids.data(), weights.data(), expected.view());
      REQUIRE(same_bits(y.view(), expected.view()));
    }
}
