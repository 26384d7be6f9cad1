// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/relu.hpp>
#include <headgate/activations/silu.hpp>
#include <headgate/activations/swish.hpp>

#include "support/activation_checks.hpp"

namespace {

using headgate_test::real;
const double infinity = std::numeric_limits<double>::infinity();

real exact(real x) { return x * headgate_test::logistic(1.5L * x); }
real exact_derivative(real x) {
  return headgate_test::logistic(1.5L * x) +
         1.5L * x * headgate_test::logistic(1.5L * x) * headgate_test::logistic(-1.5L * x);
}

}  // namespace

TEST_CASE("swish has the values of the tables", "[activations][swish]") {
  headgate_test::check_values(headgate::swish{.beta = 1.5},
                              {-0.03296083, -0.18242552, -0.16041065, 0, 0.33958935, 0.81757448, 2.96703917});
}

TEST_CASE("swish has the derivative that differences show", "[activations][swish]") {
  headgate_test::check_derivative(headgate::swish{.beta = 1.5});
}

TEST_CASE("swish is exact to 4 ulp for numbers and for vectors", "[activations][swish]") {
  headgate_test::check_accuracy(headgate::swish{.beta = 1.5}, exact, exact_derivative, 4, 4);
}

TEST_CASE("swish gives a lane the same bits wherever it stands", "[activations][swish]") {
  headgate_test::check_lanes(headgate::swish{.beta = 1.5});
}

TEST_CASE("swish has its limits at both ends and passes NaN on", "[activations][swish]") {
  headgate_test::check_ends(headgate::swish{.beta = 1.5}, {0, infinity, 0, 1});
}

TEST_CASE("swish with beta 1 is silu, with beta 0 half its argument, with a large beta ReLU", "[activations][swish]") {
  for (double x = -5; x < 5; x += 0.125) {
    CHECK(headgate::swish{}.value(x) == headgate::silu{}.value(x));
    CHECK(headgate::swish{.beta = 0}.value(x) == x / 2);
    CHECK(headgate::swish{.beta = 0}.derivative(x) == 0.5);
    CHECK(headgate::swish{.beta = 1e6}.value(x) == Approx(headgate::relu{}.value(x)));
  }
}
