// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/score/learned_temperature.hpp>

#include <headgate/activations/sigmoid.hpp>
#include <headgate/activations/tanh.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {
const hg::gate_shape shape{2, 4};
const auto x = random_matrix(5, 2, {1});
const auto z = random_matrix(5, 4, {2});
}  // namespace

TEST_CASE("learned_temperature divides by the exponential of its parameter", "[gates][score][learned_temperature]") {
  scored one(hg::learned_temperature<double>{.initial_temperature = 0.5}, shape);
  CHECK(one.p.log_temperature(0, 0) == Approx(std::log(0.5)));
  CHECK(one.p.offset.size() == 0);
  const auto s = one.forward(z);
  const hg::matrix<double> e = (z * 2).array().exp();
  for (hg::index t = 0; t < 5; ++t) CHECK((s.row(t) - e.row(t) / e.row(t).sum()).norm() < 1e-14);
}

TEST_CASE("with an activation learned_temperature applies it to the logits and adds an offset behind it",
          "[gates][score][learned_temperature]") {
  scored one(hg::learned_temperature<double, hg::tanh>{.initial_temperature = 0.25}, shape);
  CHECK(one.p.offset == hg::matrix<double>::Zero(1, 4));
  one.p.offset << 0.1, -0.2, 0, 0.3;
  const auto s = one.forward(z);
  const hg::matrix<double> e = (4 * (z.array().tanh().matrix() + one.p.offset.replicate(5, 1))).array().exp();
  for (hg::index t = 0; t < 5; ++t) CHECK((s.row(t) - e.row(t) / e.row(t).sum()).norm() < 1e-14);
}

TEST_CASE("the gradients of learned_temperature agree with differences", "[gates][score][learned_temperature]") {
  for (const double tau : {0.4, 1.0, 3.0}) {
    CHECK(scored(hg::learned_temperature<double>{.initial_temperature = tau}, shape).check_gradients(x, z));
    scored with(hg::learned_temperature<double, hg::sigmoid>{.initial_temperature = tau}, shape);
    with.p.offset = random_matrix(1, 4, {3});
    CHECK(with.check_gradients(x, z));
  }
}

TEST_CASE("the gradient of the temperature is that of the formula", "[gates][score][learned_temperature]") {
  // dtau = -(1 / tau) sum_i dS_i s_i with s = z / tau and dS the gradient by s; d(log tau) = tau dtau.
  const double tau = 0.6;
  scored one(hg::learned_temperature<double>{.initial_temperature = tau}, shape);
  const auto p = hg::matrix<double>(one.forward(z)), dp = random_matrix(5, 4, {4});
  one.dp.log_temperature.setZero();
  one.backward(x, z, dp);
  double expected = 0;
  for (hg::index t = 0; t < 5; ++t)
    for (hg::index e = 0; e < 4; ++e) expected -= p(t, e) * (dp(t, e) - p.row(t).dot(dp.row(t))) * z(t, e) / tau;
  CHECK(one.dp.log_temperature(0, 0) == Approx(expected).epsilon(1e-12));
}

TEMPLATE_TEST_CASE("learned_temperature near zero is one-hot, near infinity uniform, and its gradients stay finite",
                   "[gates][score][learned_temperature]", (hg::learned_temperature<float>),
                   (hg::learned_temperature<float, hg::tanh>)) {
  const hg::matrix<float> logits = z.cast<float>(), ds = random_matrix<float>(5, 4, {5});
  const hg::matrix<float> rows = x.cast<float>();
  const auto check = [&](float initial_temperature, float log_temperature, bool sharp) {
    CAPTURE(initial_temperature, log_temperature);
    scored<TestType, float> one({.initial_temperature = initial_temperature}, shape);
    if (log_temperature != 0) one.p.log_temperature.setConstant(log_temperature);
    one.dp = one.p;
    const hg::matrix<float> s = one.forward(logits);
    for (hg::index t = 0; t < 5; ++t) {
      hg::index best = 0;
      logits.row(t).maxCoeff(&best);
      for (hg::index e = 0; e < 4; ++e) CHECK(s(t, e) == (!sharp ? 0.25f : e == best ? 1.0f : 0.0f));
    }
    one.backward(rows, logits, ds);
    CHECK(one.dz.allFinite());
    CHECK(one.dp.log_temperature.allFinite());
    CHECK(one.dp.offset.allFinite());
  };
  check(1e-38f, 0, true);
  check(1, -120, true);
  check(std::numeric_limits<float>::denorm_min(), 0, true);
  check(1e38f, 0, false);
  check(1, 120, false);
}

TEST_CASE("learned_temperature refuses an initial temperature that is zero, negative or NaN",
          "[gates][score][learned_temperature]") {
  const auto check = [](double tau) { hg::learned_temperature<double>{.initial_temperature = tau}.check(shape); };
  CHECK_THROWS_WITH(check(0), "learned_temperature: initial_temperature is 0, it must be greater than 0 and finite");
  CHECK_THROWS_WITH(check(-3), "learned_temperature: initial_temperature is -3, it must be greater than 0 and finite");
  CHECK_THROWS_WITH(check(std::numeric_limits<double>::quiet_NaN()), contains("initial_temperature is"));
  CHECK_THROWS_WITH(check(std::numeric_limits<double>::infinity()), contains("initial_temperature is inf"));
}

TEST_CASE("learned_temperature gives experts that are switched off the score 0 and no gradient",
          "[gates][score][learned_temperature]") {
  const double off = -std::numeric_limits<double>::infinity();
  const auto with_off = rows_of({{1, off, 0.5, -1}, {off, off, off, off}});
  const hg::matrix<double> weights = random_matrix(2, 4, {7}), none = hg::matrix<double>::Zero(2, 2);
  const auto check = [&](auto score) {
    scored one(score, hg::gate_shape{2, 4});
    const auto s = one.forward(with_off);
    CHECK(s(0, 1) == 0);
    CHECK(s.row(0).sum() == Approx(1));
    CHECK(s.row(1).isZero(0));
    one.backward(none, with_off, weights);
    CHECK(one.dz.allFinite());
    CHECK(one.dz(0, 1) == 0);
    CHECK(one.dz.row(1).isZero(0));
    CHECK(one.dp.log_temperature.allFinite());
  };
  check(hg::learned_temperature<double>{});
  check(hg::learned_temperature<double, hg::sigmoid>{});
}
