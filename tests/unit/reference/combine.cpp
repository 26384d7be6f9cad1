// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/reference/combine.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace ref = headgate::reference;
using namespace headgate_test;

TEST_CASE("the plain combine_rows adds the weighted rows of each token's slots", "[reference][combine]") {
  guarded<double> rows(3, 2), y(3, 2, 1, 1);
  rows.fill([value = 0.0]() mutable { return ++value; });  // 1 2, 3 4, 5 6
  y.fill([] { return 1000.0; });
  const hg::index offsets[] = {0, 2, 2, 3};  // token 1 has no slot
  const hg::index slots[] = {2, 0, 1};
  const double weights[] = {10, 100, 1};  // by slot
  ref::combine_rows(rows.view(), offsets, slots, weights, y.view(), 0, 3, false);
  CHECK(y(0, 0) == 15);  // 1 * 5 + 10 * 1
  CHECK(y(0, 1) == 26);
  CHECK(y(1, 0) == 0);
  CHECK(y(2, 1) == 400);
  ref::combine_rows(rows.view(), offsets, slots, nullptr, y.view(), 0, 1, true);
  CHECK(y(0, 0) == 21);
  CHECK(y(2, 1) == 400);
  CHECK(y.guards_are_intact());
}

TEST_CASE("the plain combine_rows adds in slot order", "[reference][combine]") {
  guarded<float> rows(3, 1), y(1, 1);
  rows(0, 0) = 1e8f, rows(1, 0) = -1e8f, rows(2, 0) = 1;
  const hg::index offsets[] = {0, 3};
  const hg::index exact[] = {0, 1, 2};
  const hg::index absorbed[] = {0, 2, 1};
  ref::combine_rows(rows.view(), offsets, exact, nullptr, y.view(), 0, 1, false);
  CHECK(y(0, 0) == 1);
  ref::combine_rows(rows.view(), offsets, absorbed, nullptr, y.view(), 0, 1, false);
  CHECK(y(0, 0) == 0);
}
