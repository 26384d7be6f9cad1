// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/gelu.hpp>

#include "support/activation_checks.hpp"

namespace {

using headgate_test::real;
const double infinity = std::numeric_limits<double>::infinity();

real normal_below(real x) { return std::erfc(-x * std::sqrt(0.5L)) / 2; }

real exact(real x) { return x * normal_below(x); }
real exact_derivative(real x) { return normal_below(x) + x * std::exp(-x * x / 2) * 0.398942280401432677939946059934L; }

}  // namespace

TEST_CASE("gelu has the values of the tables", "[activations][gelu]") {
  headgate_test::check_values(headgate::gelu{},
                              {-0.00404969, -0.15865525, -0.15426877, 0, 0.34573123, 0.84134475, 2.99595031});
}

TEST_CASE("gelu has the derivative that differences show", "[activations][gelu]") {
  headgate_test::check_derivative(headgate::gelu{});
}

TEST_CASE("gelu is exact to 9 ulp for numbers and for vectors", "[activations][gelu]") {
  headgate_test::check_accuracy(headgate::gelu{}, exact, exact_derivative, 9, 9);
}

TEST_CASE("gelu gives a lane the same bits wherever it stands", "[activations][gelu]") {
  headgate_test::check_lanes(headgate::gelu{});
}

TEST_CASE("gelu has its limits at both ends and passes NaN on", "[activations][gelu]") {
  headgate_test::check_ends(headgate::gelu{}, {0, infinity, 0, 1});
}

TEST_CASE("gelu has its minimum where its derivative is 0", "[activations][gelu]") {
  const double at = -0.75179152469356446;
  CHECK(headgate::gelu{}.value(at) == Approx(-0.16997120747990366).epsilon(1e-14));
  CHECK(std::abs(headgate::gelu{}.derivative(at)) < 1e-14);
}

TEST_CASE("gelu keeps its relative accuracy down to x = -12", "[activations][gelu]") {
  for (double x = -12; x < 0; x += 0.01)
    CHECK(std::abs(headgate::gelu{}.value(x) / static_cast<double>(exact(static_cast<real>(x))) - 1) <
          1e-16 * (10 + x * x));
}
