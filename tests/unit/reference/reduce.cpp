// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/reference/reduce.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace ref = headgate::reference;
using namespace headgate_test;

TEST_CASE("the plain reductions sum, multiply and compare", "[reference][reduce]") {
  const double x[] = {1, -2, 3};
  const double y[] = {4, 5, 6};
  CHECK(ref::sum_row(x, 3) == 2);
  CHECK(ref::dot_row(x, y, 3) == 12);
  CHECK(ref::max_row(x, 3) == 3);
  CHECK(ref::max_row(x, 2) == 1);
}

TEST_CASE("the plain reductions of nothing are their neutral elements", "[reference][reduce]") {
  const double x[] = {1};
  CHECK(ref::sum_row(x, 0) == 0);
  CHECK(ref::dot_row(x, x, 0) == 0);
  CHECK(ref::max_row(x, 0) == -infinity<double>);
}
