// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/optim/adamw.hpp>

#include <headgate/core/matrix.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>

namespace hg = headgate;
using headgate_test::contains;

TEST_CASE("adamw agrees with Algorithm 2 written out for one number", "[optim][adamw]") {
  const double gradients[] = {0.5, -1.0, 0.25, 3.0};
  const double rate = 0.01, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.1;

  // Each line by hand, no loop, no shared helper.
  const double w0 = 1.5;
  const double m1 = 0.1 * 0.5, v1 = 0.001 * 0.25;
  const double w1 = w0 - rate * ((m1 / 0.1) / (std::sqrt(v1 / 0.001) + epsilon) + weight_decay * w0);
  const double m2 = 0.9 * m1 + 0.1 * -1.0, v2 = 0.999 * v1 + 0.001 * 1.0;
  const double w2 = w1 - rate * ((m2 / 0.19) / (std::sqrt(v2 / 0.001999) + epsilon) + weight_decay * w1);
  const double m3 = 0.9 * m2 + 0.1 * 0.25, v3 = 0.999 * v2 + 0.001 * 0.0625;
  const double w3 = w2 - rate * ((m3 / 0.271) / (std::sqrt(v3 / 0.002997001) + epsilon) + weight_decay * w2);
  const double m4 = 0.9 * m3 + 0.1 * 3.0, v4 = 0.999 * v3 + 0.001 * 9.0;
  const double w4 = w3 - rate * ((m4 / 0.3439) / (std::sqrt(v4 / 0.003994003999) + epsilon) + weight_decay * w3);
  const double expected[] = {w1, w2, w3, w4};
  CHECK(w1 == Approx(1.4885).epsilon(1e-7));  // the first step is rate (sign(g) + decay w)

  hg::matrix<double> w = hg::matrix<double>::Constant(3, 7, w0);
  hg::matrix<float> narrow = hg::matrix<float>::Constant(3, 7, 1.5f);
  hg::adamw<double> adam{
      .rate = rate, .beta1 = beta1, .beta2 = beta2, .epsilon = epsilon, .weight_decay = weight_decay};
  hg::adamw<float> narrow_adam{
      .rate = rate, .beta1 = beta1, .beta2 = beta2, .epsilon = epsilon, .weight_decay = weight_decay};
  for (int t = 0; t < 4; ++t) {
    const hg::matrix<double> dw = hg::matrix<double>::Constant(3, 7, gradients[t]);
    const hg::matrix<float> narrow_dw = dw.cast<float>();
    adam.step([&](auto&& update) { update("w", w, dw); });
    narrow_adam.step([&](auto&& update) { update("w", narrow, narrow_dw); });
    for (hg::index i = 0; i < w.size(); ++i) {
      CAPTURE(t, i);
      CHECK(w.data()[i] == Approx(expected[t]).epsilon(1e-13));
      CHECK(static_cast<double>(narrow.data()[i]) == Approx(expected[t]).epsilon(1e-6));
    }
  }
}

TEST_CASE("adamw has the published defaults", "[optim][adamw]") {
  const hg::adamw<float> adam;
  CHECK(adam.rate == 1e-3);
  CHECK(adam.beta1 == 0.9);
  CHECK(adam.beta2 == 0.999);
  CHECK(adam.epsilon == 1e-8);
  CHECK(adam.weight_decay == 1e-2);
  CHECK(adam.decays("bias", 1, 4));
}

TEST_CASE("adamw decays a parameter without gradient geometrically, and not at all where the predicate says so",
          "[optim][adamw]") {
  hg::matrix<double> up = hg::matrix<double>::Constant(2, 3, 4.0);
  hg::matrix<double> bias = hg::matrix<double>::Constant(1, 3, 4.0);
  const hg::matrix<double> no_up = hg::matrix<double>::Zero(2, 3), no_bias = hg::matrix<double>::Zero(1, 3);
  hg::adamw<double> adam{.rate = 0.1, .weight_decay = 0.5, .decays = [](std::string_view name, hg::index, hg::index) {
                           return name != "bias";
                         }};
  for (int t = 0; t < 10; ++t)
    adam.step([&](auto&& update) {
      update("up", up, no_up);
      update("bias", bias, no_bias);
    });
  CHECK(up(1, 2) == Approx(4.0 * std::pow(0.95, 10)).epsilon(1e-13));
  CHECK((bias.array() == 4.0).all());
}

TEST_CASE("adamw does not feel the scale of the gradient", "[optim][adamw]") {
  hg::matrix<double> small = hg::matrix<double>::Zero(1, 4), large = small, dw(1, 4);
  hg::adamw<double> one{.epsilon = 1e-30, .weight_decay = 0.0}, other = one;
  for (int t = 0; t < 5; ++t) {
    dw << 1.0 + t, -2.0, 0.5 * t, 3.0;
    const hg::matrix<double> scaled = 1024.0 * dw;
    one.step([&](auto&& update) { update("w", small, dw); });
    other.step([&](auto&& update) { update("w", large, scaled); });
  }
  CHECK(small.isApprox(large, 1e-13));
}

TEST_CASE("adamw reaches the minimum of a quadratic", "[optim][adamw]") {
  // f(w) = sum a_i (w_i - c_i)^2 / 2 with curvatures from 1e-2 to 1e3 and a falling rate.
  hg::matrix<double> w = hg::matrix<double>::Zero(1, 6), c(1, 6), a(1, 6);
  c << 1.0, -2.0, 0.5, 3.0, -0.25, 0.0;
  a << 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3;
  hg::adamw<double> adam{.weight_decay = 0.0};
  for (int step = 0; step < 2000; ++step) {
    adam.rate = 0.05 * (1.0 - step / 2000.0);
    const hg::matrix<double> dw = (a.array() * (w - c).array()).matrix();
    adam.step([&](auto&& update) { update("w", w, dw); });
  }
  CHECK((w - c).cwiseAbs().maxCoeff() < 1e-4);
}

TEST_CASE("adamw gives the same bits each time", "[optim][adamw]") {
  const auto train = [] {
    hg::matrix<float> w = hg::matrix<float>::Ones(5, 13);
    hg::adamw<float> adam{.rate = 0.02};
    for (int step = 0; step < 20; ++step) {
      hg::matrix<float> dw = w;
      for (hg::index i = 0; i < dw.size(); ++i) dw.data()[i] *= 0.1f * static_cast<float>(i % 7 - 3);
      adam.step([&](auto&& update) { update("w", w, dw); });
    }
    return w;
  };
  CHECK(train() == train());
}

TEST_CASE("adamw refuses options outside their range and changes nothing", "[optim][adamw]") {
  hg::matrix<float> w = hg::matrix<float>::Ones(2, 2);
  const hg::matrix<float> dw = hg::matrix<float>::Ones(2, 2);
  const auto step = [&](hg::adamw<float> adam) { adam.step([&](auto&& update) { update("w", w, dw); }); };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(step({.rate = -1e-3}), "adamw: rate is -0.001, it must be a finite number of at least 0");
  CHECK_THROWS_WITH(step({.rate = nan}), contains("adamw: rate is"));
  CHECK_THROWS_WITH(step({.beta1 = 1.0}), "adamw: beta1 is 1, it must be at least 0 and below 1");
  CHECK_THROWS_WITH(step({.beta2 = -0.1}), "adamw: beta2 is -0.1, it must be at least 0 and below 1");
  CHECK_THROWS_WITH(step({.epsilon = -1.0}), contains("adamw: epsilon is -1"));
  CHECK_THROWS_WITH(step({.epsilon = 1e-60}), "adamw: epsilon is 1e-60, it must be above 0 in the parameters' type");
  CHECK_THROWS_WITH(step({.weight_decay = nan}), contains("adamw: weight_decay is"));
  CHECK((w.array() == 1.0f).all());
}
