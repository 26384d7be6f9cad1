// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/testing/gradcheck.hpp>

#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/losses/router_z.hpp>

#include "support/catch.hpp"

namespace hg = headgate;
using hg::testing::gradient_check;

TEST_CASE("gradient_check finds a smooth gradient right to far less than 1e-6", "[testing][gradcheck]") {
  hg::matrix<double> w = hg::testing::random_matrix(3, 4, {1});
  const hg::matrix<double> before = w, dw = w.array().exp() + 3 * w.array().square();
  const auto f = [&] { return (w.array().exp() + w.array().cube()).sum(); };
  const auto report = gradient_check(f, {{"w", w, dw}});
  CHECK(report);
  CHECK(report.elements == 12);
  CHECK(report.worst < 1e-9);
  CHECK(w == before);
}

TEST_CASE("gradient_check names the parameter and the element that are wrong", "[testing][gradcheck]") {
  hg::matrix<double> a = hg::testing::random_matrix(2, 2, {2}), b = hg::testing::random_matrix(3, 2, {3});
  const hg::matrix<double> da = 2 * a;
  hg::matrix<double> db = 2 * b;
  const auto f = [&] { return a.squaredNorm() + b.squaredNorm(); };
  CHECK(gradient_check(f, {{"a", a, da}, {"b", b, db}}));
  db(2, 1) *= 1 + 4e-6;
  const auto report = gradient_check(f, {{"a", a, da}, {"b", b, db}});
  CHECK_FALSE(report);
  CHECK(report.name == "b");
  CHECK(report.row == 2);
  CHECK(report.column == 1);
  CHECK(report.worst == Approx(2e-6).epsilon(0.01));
  CHECK(report.elements == 10);
  CHECK_THAT(report.text(), headgate_test::contains("gradient of b at (2, 1)"));
}

TEST_CASE("a gradient below the floor is compared absolutely", "[testing][gradcheck]") {
  hg::matrix<double> w = hg::matrix<double>::Constant(1, 1, 0.5), dw = hg::matrix<double>::Constant(1, 1, 1e-11);
  const auto constant = [] { return 1.0; };
  CHECK(gradient_check(constant, {{"w", w, dw}}));
  dw(0, 0) = 1e-9;
  CHECK_FALSE(gradient_check(constant, {{"w", w, dw}}));
}

TEST_CASE("a gradient that is NaN or of another shape fails", "[testing][gradcheck]") {
  hg::matrix<double> w = hg::matrix<double>::Ones(2, 2), dw = hg::matrix<double>::Zero(2, 2);
  const auto constant = [] { return 1.0; };
  dw(1, 0) = std::numeric_limits<double>::quiet_NaN();
  CHECK_FALSE(gradient_check(constant, {{"w", w, dw}}));
  const hg::matrix<double> other = hg::matrix<double>::Zero(2, 1);
  CHECK_FALSE(gradient_check(constant, {{"w", w, other}}));
}

TEST_CASE("check_layer_gradients walks the input and every parameter, with losses and noise", "[testing][gradcheck]") {
  const hg::layer layer{hg::noisy_topk_gate<double>{.head = {.model = 4, .experts = 3}, .select = {.k = 2}},
                        hg::linear_expert<double>{.model = 4, .outputs = 2}, 1};
  const auto report = hg::testing::check_layer_gradients(layer, hg::testing::random_matrix(5, 4, {4}), {},
                                                         hg::router_z<double>{.weight = 0.1});
  CHECK(report);
  CHECK(report.elements == 5 * 4 + 2 * 3 * 4 + 3 * 2 * 4);
}

TEST_CASE("check_layer_gradients sees a loss whose gradient is wrong", "[testing][gradcheck]") {
  const hg::layer layer{hg::softmax_gate<double>{.head = {.model = 4, .experts = 3}},
                        hg::linear_expert<double>{.model = 4, .outputs = 2}, 1};
  const auto wrong = [](const hg::routing<double>& r, hg::routing_gradient<double>& d) {
    d.logits(0, 0) += 1.0001;
    return r.logits(0, 0);
  };
  const auto report = hg::testing::check_layer_gradients(layer, hg::testing::random_matrix(5, 4, {5}), {}, wrong);
  CHECK_FALSE(report);
}
