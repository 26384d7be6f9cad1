// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/gelu.hpp>
#include <headgate/activations/gelu_tanh.hpp>

#include "support/activation_checks.hpp"

namespace {

using headgate_test::real;
const double infinity = std::numeric_limits<double>::infinity();

const real scale = 2 * std::sqrt(2 / 3.14159265358979323846264338327950288L);
real inner(real x) { return scale * x * (1 + 0.044715L * x * x); }

real exact(real x) { return x * headgate_test::logistic(inner(x)); }
real exact_derivative(real x) {
  return headgate_test::logistic(inner(x)) + x * scale * (1 + 3 * 0.044715L * x * x) *
                                                 headgate_test::logistic(inner(x)) * headgate_test::logistic(-inner(x));
}

}  // namespace

TEST_CASE("gelu_tanh has the values of the tables", "[activations][gelu_tanh]") {
  headgate_test::check_values(headgate::gelu_tanh{},
                              {-0.00363739, -0.15880801, -0.15428599, 0, 0.34571401, 0.84119199, 2.99636261});
}

TEST_CASE("gelu_tanh has the derivative that differences show", "[activations][gelu_tanh]") {
  headgate_test::check_derivative(headgate::gelu_tanh{});
}

TEST_CASE("gelu_tanh is exact to 10 ulp for numbers and for vectors", "[activations][gelu_tanh]") {
  headgate_test::check_accuracy(headgate::gelu_tanh{}, exact, exact_derivative, 10, 10);
}

TEST_CASE("gelu_tanh gives a lane the same bits wherever it stands", "[activations][gelu_tanh]") {
  headgate_test::check_lanes(headgate::gelu_tanh{});
}

TEST_CASE("gelu_tanh has its limits at both ends and passes NaN on", "[activations][gelu_tanh]") {
  headgate_test::check_ends(headgate::gelu_tanh{}, {0, infinity, 0, 1});
}

TEST_CASE("gelu_tanh stays within 5e-4 of gelu", "[activations][gelu_tanh]") {
  double largest = 0;
  for (double x = -10; x < 10; x += 0.01)
    largest = (std::max)(largest, std::abs(headgate::gelu_tanh{}.value(x) - headgate::gelu{}.value(x)));
  CHECK(largest < 5e-4);
  CHECK(largest > 4e-4);  // and is another function
}
