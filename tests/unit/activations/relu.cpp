// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/relu.hpp>

#include "support/activation_checks.hpp"

namespace {

using headgate_test::real;
const double infinity = std::numeric_limits<double>::infinity();

real exact(real x) { return x > 0 ? x : 0; }
real exact_derivative(real x) { return x > 0 ? 1 : 0; }

}  // namespace

TEST_CASE("relu has the values of the tables", "[activations][relu]") {
  headgate_test::check_values(headgate::relu{}, {0, 0, 0, 0, 0.5, 1, 3});
  CHECK_FALSE(std::signbit(headgate::relu{}.value(-0.0)));
}

TEST_CASE("relu has the derivative that differences show", "[activations][relu]") {
  headgate_test::check_derivative(headgate::relu{});
}

TEST_CASE("relu is exact to 0 ulp for numbers and for vectors", "[activations][relu]") {
  headgate_test::check_accuracy(headgate::relu{}, exact, exact_derivative, 0, 0);
}

TEST_CASE("relu gives a lane the same bits wherever it stands", "[activations][relu]") {
  headgate_test::check_lanes(headgate::relu{});
}

TEST_CASE("relu has its limits at both ends and passes NaN on", "[activations][relu]") {
  headgate_test::check_ends(headgate::relu{}, {0, infinity, 0, 1});
}

TEST_CASE("relu has the derivative 0 at its kink", "[activations][relu]") {
  CHECK(headgate::relu{}.derivative(0.0) == 0.0);
  CHECK(headgate::relu{}.derivative(-0.0) == 0.0);
}
