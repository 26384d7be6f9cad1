// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/reference/finite.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace ref = headgate::reference;
using namespace headgate_test;

TEST_CASE("the plain first_not_finite counts in reading order", "[reference][finite]") {
  guarded<double> x(2, 3, 0, 2);
  x.fill([] { return denormal<double>; });
  CHECK(ref::first_not_finite(x.view()) == -1);
  x(1, 2) = not_a_number<double>;
  CHECK(ref::first_not_finite(x.view()) == 5);
  x(1, 0) = -infinity<double>;
  CHECK(ref::first_not_finite(x.view()) == 3);
}
