// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/score/sqrt_softplus.hpp>

#include "support/activation_checks.hpp"
#include "support/gate_checks.hpp"

#include <limits>

namespace hg = headgate;
using namespace headgate_test;

namespace {

const double infinity = std::numeric_limits<double>::infinity();

real exact(real x) { return std::sqrt((x > 0 ? x : 0) + std::log1p(std::exp(-std::abs(x)))); }
real exact_derivative(real x) { return exact(x) == 0 ? std::exp(x / 2) / 2 : logistic(x) / (2 * exact(x)); }

}  // namespace

static_assert(std::is_empty_v<hg::sqrt_softplus_score>);
static_assert(hg::sqrt_softplus_score::kind == hg::score_kind::positive);

TEST_CASE("sqrt_softplus has its values and the derivative that differences show", "[gates][score][sqrt_softplus]") {
  CHECK(hg::sqrt_softplus{}.value(0.0) == Approx(std::sqrt(std::log(2.0))).epsilon(1e-15));
  CHECK(hg::sqrt_softplus{}.value(2.0) == Approx(std::sqrt(std::log1p(std::exp(2.0)))).epsilon(1e-15));
  check_derivative(hg::sqrt_softplus{});
}

TEST_CASE("sqrt_softplus is exact to 2 ulp for numbers and 4 for slopes, and a lane does not depend on its place",
          "[gates][score][sqrt_softplus]") {
  check_accuracy(hg::sqrt_softplus{}, exact, exact_derivative, 2, 4);
  check_lanes(hg::sqrt_softplus{});
}

TEST_CASE("sqrt_softplus has its limits at both ends", "[gates][score][sqrt_softplus]") {
  check_ends(hg::sqrt_softplus{}, {0, infinity, 0, 0});
}

TEST_CASE("sqrt_softplus keeps the order of logits where their exponential is no normal number",
          "[gates][score][sqrt_softplus]") {
  const hg::sqrt_softplus f;
  CHECK(f.value(-100.0F) == Approx(std::exp(-50.0)).epsilon(1e-5));
  for (float x = -170; x < -1; x += 1) CHECK(f.value(x) < f.value(x + 0.5F));
  CHECK(f.value(-40.0) == Approx(f.value(std::nextafter(-40.0, -50.0))).epsilon(1e-14));
  CHECK(f.derivative(-40.0) == Approx(f.derivative(std::nextafter(-40.0, -50.0))).epsilon(1e-14));
}

TEST_CASE("the gradient of the sqrt_softplus score agrees with differences", "[gates][score][sqrt_softplus]") {
  CHECK(scored(hg::sqrt_softplus_score{}, {2, 5}).check_gradients(random_matrix(4, 2, {1}), random_matrix(4, 5, {2})));
  scored off(hg::sqrt_softplus_score{}, {2, 2});
  const auto z = rows_of({{-infinity, 1}});
  CHECK(off.forward(z)(0, 0) == 0);
  off.backward(hg::matrix<double>::Zero(1, 2), z, rows_of({{3, 1}}));
  CHECK(off.dz(0, 0) == 0);
}
