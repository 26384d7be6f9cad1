// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/elu.hpp>

#include "support/activation_checks.hpp"

namespace {

using headgate_test::real;
const double infinity = std::numeric_limits<double>::infinity();

real exact(real x) { return x > 0 ? x : std::expm1(x); }
real exact_derivative(real x) { return x > 0 ? 1 : std::exp(x); }

}  // namespace

TEST_CASE("elu has the values of the tables", "[activations][elu]") {
  headgate_test::check_values(headgate::elu{}, {-0.9502129316, -0.6321205588, -0.3934693403, 0, 0.5, 1, 3});
}

TEST_CASE("elu has the derivative that differences show", "[activations][elu]") {
  headgate_test::check_derivative(headgate::elu{});
}

TEST_CASE("elu is exact to 2 ulp for numbers and for vectors", "[activations][elu]") {
  headgate_test::check_accuracy(headgate::elu{}, exact, exact_derivative, 2, 2);
}

TEST_CASE("elu gives a lane the same bits wherever it stands", "[activations][elu]") {
  headgate_test::check_lanes(headgate::elu{});
}

TEST_CASE("elu has its limits at both ends and passes NaN on", "[activations][elu]") {
  headgate_test::check_ends(headgate::elu{}, {-1, infinity, 0, 1});
}

TEST_CASE("elu takes its alpha from the caller", "[activations][elu]") {
  const headgate::elu act{.alpha = 0.5};
  CHECK(act.value(-1e4) == -0.5);
  CHECK(act.derivative(0.0) == 0.5);
  CHECK(act.value(2.0F) == 2.0F);
}

TEST_CASE("elu has the derivative alpha at its kink", "[activations][elu]") {
  CHECK(headgate::elu{}.derivative(0.0) == 1.0);
  CHECK(headgate::elu{}.derivative(-0.0) == 1.0);
}
