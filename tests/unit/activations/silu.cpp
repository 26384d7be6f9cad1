// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/silu.hpp>

#include "support/activation_checks.hpp"

namespace {

using headgate_test::real;
const double infinity = std::numeric_limits<double>::infinity();

real exact(real x) { return x * headgate_test::logistic(x); }
real exact_derivative(real x) {
  return headgate_test::logistic(x) + x * headgate_test::logistic(x) * headgate_test::logistic(-x);
}

}  // namespace

TEST_CASE("silu has the values of the tables", "[activations][silu]") {
  headgate_test::check_values(headgate::silu{},
                              {-0.14227762, -0.26894142, -0.18877033, 0, 0.31122967, 0.73105858, 2.85772238});
}

TEST_CASE("silu has the derivative that differences show", "[activations][silu]") {
  headgate_test::check_derivative(headgate::silu{});
}

TEST_CASE("silu is exact to 2 ulp for numbers and for vectors", "[activations][silu]") {
  headgate_test::check_accuracy(headgate::silu{}, exact, exact_derivative, 2, 4);
}

TEST_CASE("silu gives a lane the same bits wherever it stands", "[activations][silu]") {
  headgate_test::check_lanes(headgate::silu{});
}

TEST_CASE("silu has its limits at both ends and passes NaN on", "[activations][silu]") {
  headgate_test::check_ends(headgate::silu{}, {0, infinity, 0, 1});
}

TEST_CASE("silu has its minimum where the table says", "[activations][silu]") {
  const double at = -1.278464542761074;
  CHECK(headgate::silu{}.value(at) == Approx(-0.2784645427610738).epsilon(1e-15));
  CHECK(std::abs(headgate::silu{}.derivative(at)) < 1e-15);
}
