// SPDX-License-Identifier: BSD-3-Clause
// The ReLU gate and the norm behind it (ReLA, arXiv:2104.07012).
#include <headgate/gates/named.hpp>

#include <headgate/dense_layer.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/layer.hpp>
#include <headgate/norms/rms_norm.hpp>
#include <headgate/testing/gradcheck.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

using relu_layer = hg::layer<hg::relu_gate<double>, hg::linear_expert<double>>;

relu_layer layer_of(hg::index experts) {
  return {{.head = {.model = 5, .experts = experts}}, {.model = 5, .outputs = 6}, 1};
}
hg::dense_layer<hg::rms_norm<double>> norm_of(double epsilon) {
  return {hg::rms_norm<double>{.model = 6, .epsilon = epsilon}, 1};
}

}  // namespace

TEST_CASE("ReLU gate: a token whose logits are not positive goes nowhere, and its output is zero and finite",
          "[property][gates][relu]") {
  auto layer = layer_of(4);
  layer.params().gate.head.weight = -layer.params().gate.head.weight.cwiseAbs();
  hg::matrix<double> x = random_matrix(5, 5, {1}).cwiseAbs();
  x.row(3).setZero();  // logits of exactly zero
  hg::matrix<double> y, dx, du;
  relu_layer::tape tape;
  layer.forward(x, y, tape);
  CHECK(tape.routing.assignments.empty());
  CHECK(y.isZero(0));
  const auto norm = norm_of(1e-6);
  CHECK(norm(y).isZero(0));
  auto grads = layer.zero_gradients();
  layer.backward(x, random_matrix(5, 6, {2}), tape, dx, grads);
  CHECK(dx.isZero(0));
  CHECK(grads.gate.head.weight.isZero(0));
}

TEST_CASE("ReLU gate: scaling the router leaves the normalised output unchanged", "[property][gates][relu]") {
  auto layer = layer_of(4);
  const auto norm = norm_of(0);
  const auto x = random_matrix(20, 5, {3});
  const hg::matrix<double> before = norm(layer(x));
  for (const double scale : {1e-3, 0.5, 7.0, 1e6}) {
    auto scaled = layer;
    scaled.params().gate.head.weight *= scale;
    CHECK((norm(scaled(x)) - before).cwiseAbs().maxCoeff() < 1e-13);
  }
}

TEST_CASE("ReLU gate: the experts of a token are those with a positive logit", "[property][gates][relu]") {
  routed gate(hg::relu_gate<double>{.head = {.model = 5, .experts = 7}});
  const auto& r = gate(random_matrix(40, 5, {4}));
  const auto g = dense_weights(r);
  for (hg::index t = 0; t < 40; ++t)
    for (hg::index e = 0; e < 7; ++e) CHECK(g(t, e) == (std::max)(r.logits(t, e), 0.0));
}

TEST_CASE("ReLU gate: one positive logit is top-1 up to scale", "[property][gates][relu]") {
  auto layer = layer_of(3);
  hg::layer top1{hg::topk_gate<double>{.head = {.model = 5, .experts = 3}, .select = {.k = 1}},
                 hg::linear_expert<double>{.model = 5, .outputs = 6}, 1};
  layer.params().gate.head.weight << -1, 0, 0, 0, 0, 2, 0, 0, 0, 0, -3, 0, 0, 0, 0;  // logits (-x_0, 2 x_0, -3 x_0)
  top1.params().gate.head.weight = layer.params().gate.head.weight;
  top1.params().experts = layer.params().experts;
  hg::matrix<double> x = random_matrix(8, 5, {5});
  x.col(0) = x.col(0).cwiseAbs();
  const hg::matrix<double> y = layer(x), one = top1(x);
  for (hg::index t = 0; t < 8; ++t) CHECK((y.row(t) - 2 * x(t, 0) * one.row(t)).norm() < 1e-13);
  CHECK((norm_of(0)(y) - norm_of(0)(one)).cwiseAbs().maxCoeff() < 1e-13);
}

TEST_CASE("ReLU gate: dz = dg where the logit is positive, zero elsewhere", "[property][gates][relu]") {
  auto gate = copying(hg::relu_gate<double>{.head = {.model = 6, .experts = 6}});
  const auto z = random_matrix(5, 6, {6}), dg = random_matrix(5, 6, {7});
  gate(z);
  gate.backward(z, dg);
  CHECK(gate.dx == hg::matrix<double>((z.array() > 0).select(dg, 0.0)));
}

TEST_CASE("ReLU gate: the gradient through the layer and the norm agrees with differences", "[property][gates][relu]") {
  auto layer = layer_of(4);
  hg::dense_layer norm{hg::rms_norm<double, hg::dynamic, hg::output_gate::used>{.model = 6}, 1};
  norm.params().gate = random_matrix(1, 6, {8});
  hg::matrix<double> x = random_matrix(7, 5, {9}), u, y, du, dx;
  const auto dy = random_matrix(7, 6, {10});
  relu_layer::tape tape;
  decltype(norm)::tape norm_tape;
  const auto loss = [&] {
    layer.forward(x, u, tape);
    norm.forward(u, y, norm_tape);
    return (y.array() * dy.array()).sum();
  };
  loss();
  auto grads = layer.zero_gradients();
  auto norm_grads = norm.zero_gradients();
  norm.backward(u, dy, norm_tape, du, norm_grads);
  layer.backward(x, du, tape, dx, grads);
  CHECK(hg::testing::gradient_check(loss, {{"x", x, dx},
                                           {"router", layer.params().gate.head.weight, grads.gate.head.weight},
                                           {"expert", layer.params().experts[1].weight, grads.experts[1].weight},
                                           {"gamma", norm.params().gamma, norm_grads.gamma},
                                           {"gate", norm.params().gate, norm_grads.gate}}));
}
