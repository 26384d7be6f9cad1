// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/identity.hpp>

#include "support/activation_checks.hpp"

TEST_CASE("identity returns its argument, and one as its derivative", "[activations][identity]") {
  const double infinity = std::numeric_limits<double>::infinity();
  headgate_test::check_values(headgate::identity{}, {-3, -1, -0.5, 0, 0.5, 1, 3});
  headgate_test::check_derivative(headgate::identity{});
  headgate_test::check_ends(headgate::identity{}, {-infinity, infinity, 1, 1});
}
