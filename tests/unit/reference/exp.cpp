// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/reference/exp.hpp>

#include "support/catch.hpp"

#include <limits>

TEST_CASE("the plain exponential has the value of the tables and the limits", "[reference][exp]") {
  CHECK(static_cast<double>(headgate::reference::exp(1.0)) == 2.718281828459045);
  CHECK(headgate::reference::exp(0.0f) == 1);
  CHECK(headgate::reference::exp(-std::numeric_limits<float>::infinity()) == 0);
}
