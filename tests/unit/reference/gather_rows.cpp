// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/reference/gather_rows.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace ref = headgate::reference;
using namespace headgate_test;

TEST_CASE("the plain gather_rows picks rows and scales them", "[reference][gather_rows]") {
  guarded<double> x(3, 2, 0, 1), y(2, 2, 1, 2);
  x.fill([value = 0.0]() mutable { return ++value; });  // 1 2, 3 4, 5 6
  const hg::index ids[] = {2, 0};
  const double weights[] = {10, -1};
  ref::gather_rows(x.view(), ids, y.view());
  CHECK(y(0, 0) == 5);
  CHECK(y(1, 1) == 2);
  ref::gather_scaled_rows(x.view(), ids, weights, y.view());
  CHECK(y(0, 1) == 60);
  CHECK(y(1, 0) == -1);
  CHECK(y.guards_are_intact());
}
