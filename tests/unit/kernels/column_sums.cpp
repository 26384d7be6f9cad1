// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/column_sums.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

TEMPLATE_TEST_CASE("add_column_sums adds row after row to what is there", "[kernels][column_sums]", float, double) {
  using T = TestType;
  numbers next(1);
  for (const hg::index rows : {0, 1, 2, 17})
    for (hg::index cols = 0; cols <= longest_row<T>; ++cols) {
      guarded<T> x(rows, cols, 1, 3), sums(1, cols, 2), expected(1, cols);
      x.fill([&] { return next.within(T{1}); });
      sums.fill([&] { return next.within(T{1}); });
      for (hg::index c = 0; c < cols; ++c) {
        expected(0, c) = sums(0, c);
        for (hg::index r = 0; r < rows; ++r) expected(0, c) += x(r, c);
      }
      k::add_column_sums<T>(x.view(), sums.row());
      CAPTURE(rows, cols);
      CHECK(same_bits(sums.view(), expected.view()));
      CHECK(sums.guards_are_intact());
    }
}
