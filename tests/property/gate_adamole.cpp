// SPDX-License-Identifier: BSD-3-Clause
// The adaptive threshold gate (AdaMoLE, arXiv:2405.00361).
#include <headgate/gates/named.hpp>

#include <headgate/dense_layer.hpp>
#include <headgate/experts/frozen.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/lora.hpp>
#include <headgate/layer.hpp>
#include <headgate/losses/switch_balance.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

using adamole = hg::adamole_gate<double>;

adamole gate_of(hg::index experts, double max_threshold = 0) {
  return {
      .head = {.model = 5, .experts = experts}, .score = {.max_threshold = max_threshold}, .select = {}, .weigh = {}};
}

/// The number of active experts of each token.
std::vector<std::size_t> active(const hg::routing<double>& r) {
  std::vector<std::size_t> count;
  for (hg::index t = 0; t < r.tokens; ++t) count.push_back(experts_of_token(r, t).size());
  return count;
}

}  // namespace

TEST_CASE("AdaMoLE: a maximal threshold of at most 1 / experts leaves every token an expert",
          "[property][gates][adamole]") {
  for (const hg::index experts : {1, 3, 6, 7, 8}) {
    for (const double share : {0.5, 1.0}) {
      routed gate(gate_of(experts, share / static_cast<double>(experts)));
      for (const double scale : {0.0, 1e-9, 1.0, 30.0}) {  // from equal logits to far apart ones
        gate.p.head.weight = scale * random_matrix(experts, 5, {1});
        gate.p.score.threshold_bias.setConstant(50);  // the largest threshold there is
        for (const auto count : active(gate(random_matrix(200, 5, {2})))) CHECK(count >= 1);
      }
    }
  }
}

TEST_CASE("AdaMoLE: a single active expert has weight one and gives the gate and the threshold no gradient",
          "[property][gates][adamole]") {
  routed gate(gate_of(4));
  gate.p.head.weight *= 20;
  gate.p.score.threshold_bias.setConstant(3);
  const auto x = random_matrix(60, 5, {3});
  gate(x);
  const auto count = active(gate.r);
  REQUIRE(std::count(count.begin(), count.end(), 1U) > 20);
  hg::matrix<double> dg = random_matrix(60, 4, {4});
  for (hg::index t = 0; t < 60; ++t)
    if (count[static_cast<std::size_t>(t)] > 1) dg.row(t).setZero();
  for (const auto& a : gate.r.assignments)
    if (count[static_cast<std::size_t>(a.token)] == 1) CHECK(a.weight == 1);
  gate.backward(x, dg);
  CHECK(gate.dp.head.weight.isZero(0));
  CHECK(gate.dp.score.threshold_weight.isZero(0));
  CHECK(gate.dp.score.threshold_bias.isZero(0));
  CHECK(gate.dx.isZero(0));
}

TEST_CASE("AdaMoLE: a threshold bias that goes to minus infinity gives the dense softmax mixture",
          "[property][gates][adamole]") {
  routed gate(gate_of(4));
  routed dense(hg::softmax_gate<double>{.head = {.model = 5, .experts = 4}});
  gate.p.score.threshold_bias.setConstant(-1e4);
  dense.p.head = gate.p.head;
  const auto x = random_matrix(20, 5, {5});
  CHECK((dense_weights(gate(x)) - dense_weights(dense(x))).cwiseAbs().maxCoeff() < 1e-15);
}

TEST_CASE("AdaMoLE: a threshold above one leaves tokens without an expert, and their output is zero",
          "[property][gates][adamole]") {
  hg::layer layer{gate_of(4, 2.0), hg::linear_expert<double>{.model = 5, .outputs = 3}, 1};
  layer.params().gate.score.threshold_bias.setConstant(50);
  const auto x = random_matrix(6, 5, {6});
  hg::matrix<double> y, dx;
  decltype(layer)::tape tape;
  auto grads = layer.zero_gradients();
  layer.forward(x, y, tape);
  CHECK(tape.routing.assignments.empty());
  CHECK(y.isZero(0));
  layer.backward(x, random_matrix(6, 3, {7}), tape, dx, grads);
  CHECK(dx.isZero(0));
}

TEST_CASE("AdaMoLE: LoRA experts that start at zero leave the frozen base exactly as it is",
          "[property][gates][adamole]") {
  const hg::linear_expert<double> base{.model = 5, .outputs = 3};
  const hg::layer layer{gate_of(4), hg::lora_expert<double>{.model = 5, .outputs = 3, .rank = 2}, hg::frozen{base}, 1};
  hg::dense_layer alone{base, 2};
  alone.params() = layer.params().shared;
  const auto x = random_matrix(9, 5, {8});
  CHECK(layer(x) == alone(x));
}

TEST_CASE("AdaMoLE: the number of active experts does not increase with the threshold", "[property][gates][adamole]") {
  routed gate(gate_of(8, 0.5));
  const auto x = random_matrix(100, 5, {9});
  std::vector<std::size_t> last(100, 8);
  std::size_t least = 8;
  for (double bias = -8; bias <= 8; bias += 0.5) {
    gate.p.score.threshold_bias.setConstant(bias);
    const auto now = active(gate(x));
    for (std::size_t t = 0; t < 100; ++t) {
      CHECK(now[t] <= last[t]);
      least = (std::min)(least, now[t]);
    }
    last = now;
  }
  CHECK(least == 0);  // the sweep has covered all of it
}

TEST_CASE("AdaMoLE: the weights of a token sum to one", "[property][gates][adamole]") {
  routed gate(gate_of(8));
  const auto g = dense_weights(gate(random_matrix(100, 5, {10})));
  for (hg::index t = 0; t < 100; ++t) {
    CHECK(g.row(t).sum() == Approx(1).epsilon(1e-14));
    CHECK(g.row(t).minCoeff() >= 0);
  }
}

TEST_CASE("AdaMoLE: w_i = (p_i - tau) over the sum of the active, dw_i = <dy, f_i - y> / sum, dtau = -sum of dw",
          "[property][gates][adamole]") {
  routed gate(gate_of(4));
  const auto x = random_matrix(12, 5, {11});
  const auto g = dense_weights(gate(x));
  const auto a = random_matrix(12, 4, {12});  // a_ti = <dy_t, f_i(x_t)>
  gate.backward(x, a);
  double dbias = 0;
  for (hg::index t = 0; t < 12; ++t) {
    const double sigmoid = 1 / (1 + std::exp(-x.row(t).dot(gate.p.score.threshold_weight.row(0))));
    const hg::matrix<double> e = (x.row(t) * gate.p.head.weight.transpose()).array().exp();
    const hg::matrix<double> margin = (e / e.sum()).array() - 0.25 * sigmoid;
    const double sum = margin.cwiseMax(0.0).sum();
    for (hg::index i = 0; i < 4; ++i) {
      CHECK(g(t, i) == Approx((std::max)(margin(0, i), 0.0) / sum).epsilon(1e-12));
      if (margin(0, i) >= 0) dbias -= (a(t, i) - a.row(t).dot(g.row(t))) / sum * 0.25 * sigmoid * (1 - sigmoid);
    }
  }
  CHECK(gate.dp.score.threshold_bias(0, 0) == Approx(dbias).epsilon(1e-11));
}

TEST_CASE("AdaMoLE: the balance loss reads the probabilities, as the paper writes, not the margins",
          "[property][gates][adamole]") {
  routed gate(gate_of(4));
  const auto x = random_matrix(12, 5, {13});
  gate(x);
  hg::matrix<double> p = (x * gate.p.head.weight.transpose()).array().exp();
  for (hg::index t = 0; t < 12; ++t) p.row(t) /= p.row(t).sum();
  double expected = 0;
  for (const auto& a : gate.r.assignments)
    expected += 4 * p.col(a.expert).mean() / static_cast<double>(gate.r.assignments.size());
  CHECK(gate.backward_of(x, hg::switch_balance<double>{}) == Approx(expected).epsilon(1e-12));
  CHECK(gate.dp.score.threshold_weight.isZero(0));  // the threshold only selects
  CHECK(gate.dp.head.weight.norm() > 1e-3);
}
