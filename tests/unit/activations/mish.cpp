// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/mish.hpp>

#include "support/activation_checks.hpp"

namespace {

using headgate_test::real;
const double infinity = std::numeric_limits<double>::infinity();

real inner(real x) { return std::tanh(x > 40 ? x : std::log1p(std::exp(x))); }

real exact(real x) { return x * inner(x); }
real exact_derivative(real x) { return inner(x) + x * (1 - inner(x)) * (1 + inner(x)) * headgate_test::logistic(x); }

}  // namespace

TEST_CASE("mish has the values of the tables", "[activations][mish]") {
  headgate_test::check_values(headgate::mish{},
                              {-0.14564746, -0.30340146, -0.22074377, 0, 0.37524521, 0.86509839, 2.98653500});
}

TEST_CASE("mish has the derivative that differences show", "[activations][mish]") {
  headgate_test::check_derivative(headgate::mish{});
}

TEST_CASE("mish is exact to 3 ulp for numbers and for vectors", "[activations][mish]") {
  headgate_test::check_accuracy(headgate::mish{}, exact, exact_derivative, 3, 7);
}

TEST_CASE("mish gives a lane the same bits wherever it stands", "[activations][mish]") {
  headgate_test::check_lanes(headgate::mish{});
}

TEST_CASE("mish has its limits at both ends and passes NaN on", "[activations][mish]") {
  headgate_test::check_ends(headgate::mish{}, {0, infinity, 0, 1});
}

TEST_CASE("mish has its minimum where its derivative is 0", "[activations][mish]") {
  const double at = -1.192431214515495;
  CHECK(headgate::mish{}.value(at) == Approx(-0.3088434130172504).epsilon(1e-14));
  CHECK(std::abs(headgate::mish{}.derivative(at)) < 1e-14);
}
