// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/tanh.hpp>

#include "support/activation_checks.hpp"

namespace {

using headgate_test::real;

real exact(real x) { return std::tanh(x); }
real exact_derivative(real x) { return 1 / (std::cosh(x) * std::cosh(x)); }

}  // namespace

TEST_CASE("tanh has the values of the tables", "[activations][tanh]") {
  headgate_test::check_values(headgate::tanh{},
                              {-0.9950547537, -0.761594156, -0.4621171573, 0, 0.4621171573, 0.761594156, 0.9950547537});
}

TEST_CASE("tanh has the derivative that differences show", "[activations][tanh]") {
  headgate_test::check_derivative(headgate::tanh{});
}

TEST_CASE("tanh is exact to 2 ulp for numbers and for vectors", "[activations][tanh]") {
  headgate_test::check_accuracy(headgate::tanh{}, exact, exact_derivative, 2, 3);
}

TEST_CASE("tanh gives a lane the same bits wherever it stands", "[activations][tanh]") {
  headgate_test::check_lanes(headgate::tanh{});
}

TEST_CASE("tanh has its limits at both ends and passes NaN on", "[activations][tanh]") {
  headgate_test::check_ends(headgate::tanh{}, {-1, 1, 0, 0});
}
