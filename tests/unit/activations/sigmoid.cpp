// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/sigmoid.hpp>

#include "support/activation_checks.hpp"

namespace {

using headgate_test::real;

real exact(real x) { return headgate_test::logistic(x); }
real exact_derivative(real x) { return headgate_test::logistic(x) * headgate_test::logistic(-x); }

}  // namespace

TEST_CASE("sigmoid has the values of the tables", "[activations][sigmoid]") {
  headgate_test::check_values(
      headgate::sigmoid{}, {0.04742587318, 0.2689414214, 0.3775406688, 0.5, 0.6224593312, 0.7310585786, 0.9525741268});
}

TEST_CASE("sigmoid has the derivative that differences show", "[activations][sigmoid]") {
  headgate_test::check_derivative(headgate::sigmoid{});
}

TEST_CASE("sigmoid is exact to 2 ulp for numbers and for vectors", "[activations][sigmoid]") {
  headgate_test::check_accuracy(headgate::sigmoid{}, exact, exact_derivative, 2, 3);
}

TEST_CASE("sigmoid gives a lane the same bits wherever it stands", "[activations][sigmoid]") {
  headgate_test::check_lanes(headgate::sigmoid{});
}

TEST_CASE("sigmoid has its limits at both ends and passes NaN on", "[activations][sigmoid]") {
  headgate_test::check_ends(headgate::sigmoid{}, {0, 1, 0, 0});
}

TEST_CASE("the derivative of sigmoid does not cancel far from 0", "[activations][sigmoid]") {
  CHECK(headgate::sigmoid{}.derivative(30.0F) == Approx(std::exp(-30.0)).epsilon(1e-6));
  CHECK(headgate::sigmoid{}.derivative(-30.0F) == headgate::sigmoid{}.derivative(30.0F));
}
