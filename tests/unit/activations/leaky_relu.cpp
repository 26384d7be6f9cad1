// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/leaky_relu.hpp>

#include "support/activation_checks.hpp"

namespace {

using headgate_test::real;
const double infinity = std::numeric_limits<double>::infinity();

real exact(real x) { return x > 0 ? x : 0.01L * x; }
real exact_derivative(real x) { return x > 0 ? 1 : 0.01L; }

}  // namespace

TEST_CASE("leaky_relu has the values of the tables", "[activations][leaky_relu]") {
  headgate_test::check_values(headgate::leaky_relu{}, {-0.03, -0.01, -0.005, 0, 0.5, 1, 3});
}

TEST_CASE("leaky_relu has the derivative that differences show", "[activations][leaky_relu]") {
  headgate_test::check_derivative(headgate::leaky_relu{});
}

TEST_CASE("leaky_relu is exact to 1 ulp for numbers and for vectors", "[activations][leaky_relu]") {
  headgate_test::check_accuracy(headgate::leaky_relu{}, exact, exact_derivative, 1, 1);
}

TEST_CASE("leaky_relu gives a lane the same bits wherever it stands", "[activations][leaky_relu]") {
  headgate_test::check_lanes(headgate::leaky_relu{});
}

TEST_CASE("leaky_relu has its limits at both ends and passes NaN on", "[activations][leaky_relu]") {
  headgate_test::check_ends(headgate::leaky_relu{}, {-infinity, infinity, 0.01, 1});
}

TEST_CASE("leaky_relu takes its slope from the caller", "[activations][leaky_relu]") {
  const headgate::leaky_relu act{.slope = 0.25};
  CHECK(act.value(-2.0) == -0.5);
  CHECK(act.derivative(-2.0) == 0.25);
  CHECK(act.value(2.0F) == 2.0F);
}

TEST_CASE("leaky_relu has the derivative slope at its kink", "[activations][leaky_relu]") {
  CHECK(headgate::leaky_relu{}.derivative(0.0) == 0.01);
  CHECK(headgate::leaky_relu{}.derivative(-0.0) == 0.01);
}
