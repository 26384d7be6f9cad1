// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/relu_squared.hpp>

#include "support/activation_checks.hpp"

namespace {

using headgate_test::real;
const double infinity = std::numeric_limits<double>::infinity();

real exact(real x) { return x > 0 ? x * x : 0; }
real exact_derivative(real x) { return x > 0 ? 2 * x : 0; }

}  // namespace

TEST_CASE("relu_squared has the values of the tables", "[activations][relu_squared]") {
  headgate_test::check_values(headgate::relu_squared{}, {0, 0, 0, 0, 0.25, 1, 9});
}

TEST_CASE("relu_squared has the derivative that differences show", "[activations][relu_squared]") {
  headgate_test::check_derivative(headgate::relu_squared{});
}

TEST_CASE("relu_squared is exact to 1 ulp for numbers and for vectors", "[activations][relu_squared]") {
  headgate_test::check_accuracy(headgate::relu_squared{}, exact, exact_derivative, 1, 0);
}

TEST_CASE("relu_squared gives a lane the same bits wherever it stands", "[activations][relu_squared]") {
  headgate_test::check_lanes(headgate::relu_squared{});
}

TEST_CASE("relu_squared has its limits at both ends and passes NaN on", "[activations][relu_squared]") {
  headgate_test::check_ends(headgate::relu_squared{}, {0, infinity, 0, infinity});
}
