// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/softplus.hpp>

#include "support/activation_checks.hpp"

namespace {

using headgate_test::real;
const double infinity = std::numeric_limits<double>::infinity();

real exact(real x) { return (x > 0 ? x : 0) + std::log1p(std::exp(-std::abs(x))); }
real exact_derivative(real x) { return headgate_test::logistic(x); }

}  // namespace

TEST_CASE("softplus has the values of the tables", "[activations][softplus]") {
  headgate_test::check_values(headgate::softplus{}, {0.04858735157, 0.3132616875, 0.4740769842, 0.6931471806,
                                                     0.9740769842, 1.313261688, 3.048587352});
}

TEST_CASE("softplus has the derivative that differences show", "[activations][softplus]") {
  headgate_test::check_derivative(headgate::softplus{});
}

TEST_CASE("softplus is exact to 2 ulp for numbers and for vectors", "[activations][softplus]") {
  headgate_test::check_accuracy(headgate::softplus{}, exact, exact_derivative, 2, 2);
}

TEST_CASE("softplus gives a lane the same bits wherever it stands", "[activations][softplus]") {
  headgate_test::check_lanes(headgate::softplus{});
}

TEST_CASE("softplus has its limits at both ends and passes NaN on", "[activations][softplus]") {
  headgate_test::check_ends(headgate::softplus{}, {0, infinity, 0, 1});
}

TEST_CASE("softplus is linear for large x and not zero for small x", "[activations][softplus]") {
  CHECK(headgate::softplus{}.value(1e4F) == 1e4F);
  CHECK(headgate::softplus{}.value(-50.0) == Approx(std::exp(-50.0)).epsilon(1e-14));
}
