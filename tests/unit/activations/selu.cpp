// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/selu.hpp>

#include "support/activation_checks.hpp"

namespace {

using headgate_test::real;
const double infinity = std::numeric_limits<double>::infinity();

const real lambda = 1.0507009873554804934193349852946L;
const real alpha = 1.6732632423543772848170429916717L;

real exact(real x) { return lambda * (x > 0 ? x : alpha * std::expm1(x)); }
real exact_derivative(real x) { return lambda * (x > 0 ? 1 : alpha * std::exp(x)); }

}  // namespace

TEST_CASE("selu has the values of the tables", "[activations][selu]") {
  headgate_test::check_values(headgate::selu{},
                              {-1.67056873, -1.11133074, -0.69175819, 0, 0.52535049, 1.05070099, 3.15210296});
}

TEST_CASE("selu has the derivative that differences show", "[activations][selu]") {
  headgate_test::check_derivative(headgate::selu{});
}

TEST_CASE("selu is exact to 2 ulp for numbers and for vectors", "[activations][selu]") {
  headgate_test::check_accuracy(headgate::selu{}, exact, exact_derivative, 2, 2);
}

TEST_CASE("selu gives a lane the same bits wherever it stands", "[activations][selu]") {
  headgate_test::check_lanes(headgate::selu{});
}

TEST_CASE("selu has its limits at both ends and passes NaN on", "[activations][selu]") {
  headgate_test::check_ends(headgate::selu{}, {-1.7580993408473766, infinity, 0, 1.0507009873554805});
}

TEST_CASE("selu keeps mean 0 and variance 1 of a normal input", "[activations][selu]") {
  double mean = 0, square = 0;
  const double h = 1e-3;
  for (double x = -12; x < 12; x += h) {
    const double weight = h * std::exp(-x * x / 2) / std::sqrt(2 * 3.14159265358979323846);
    const double y = headgate::selu{}.value(x);
    mean += weight * y;
    square += weight * y * y;
  }
  CHECK(std::abs(mean) < 1e-6);
  CHECK(square == Approx(1).epsilon(1e-6));
}
