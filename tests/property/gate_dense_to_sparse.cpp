// SPDX-License-Identifier: BSD-3-Clause
// The temperature ("dense-to-sparse") gate and its activation variant (arXiv:2112.14397, arXiv:2401.13875).
#include <headgate/gates/named.hpp>

#include <headgate/activations/relu.hpp>
#include <headgate/activations/tanh.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

using learned = hg::dense_to_sparse_gate<double>;
using fixed = hg::temperature_gate<double>;
template <class Activation>
using activated = hg::activation_dense_to_sparse_gate<double, Activation>;

template <class Gate>
routed<Gate> gate_of() {
  return routed(Gate{.head = {.model = 5, .experts = 4}, .score = {}, .select = {}, .weigh = {}});
}
const auto x = random_matrix(12, 5, {1});

/// Scales weights, biases and temperature by c; returns the largest change of a weight of the mixture.
template <class Gate, class Scale>
double change(routed<Gate> gate, const Scale& scale) {
  hg::testing::disturb<Gate>(gate.p, {2});
  const auto before = dense_weights(gate(x));
  scale(gate.p);
  return (dense_weights(gate(x)) - before).cwiseAbs().maxCoeff();
}

}  // namespace

TEST_CASE("dense-to-sparse: a temperature near zero gives the top expert everything",
          "[property][gates][temperature]") {
  auto one = gate_of<fixed>();
  one.gate.score.temperature = 1e-5;
  auto two = gate_of<learned>();
  two.p.score.log_temperature.setConstant(std::log(1e-5));
  two.p.head = one.p.head;
  for (const auto& g : {dense_weights(one(x)), dense_weights(two(x))})
    for (hg::index t = 0; t < 12; ++t) {
      hg::index best = 0, top = 0;
      CHECK(g.row(t).maxCoeff(&best) == Approx(1).epsilon(1e-12));
      hg::matrix<double>(x.row(t) * one.p.head.weight.transpose()).row(0).maxCoeff(&top);
      CHECK(best == top);
    }
}

TEST_CASE("dense-to-sparse: a large temperature gives every expert the same", "[property][gates][temperature]") {
  auto one = gate_of<fixed>();
  one.gate.score.temperature = 1e9;
  auto two = gate_of<learned>();
  two.p.score.log_temperature.setConstant(std::log(1e9));
  CHECK((dense_weights(one(x)).array() - 0.25).abs().maxCoeff() < 1e-8);
  CHECK((dense_weights(two(x)).array() - 0.25).abs().maxCoeff() < 1e-8);
}

TEST_CASE("dense-to-sparse: the activation gate with the identity is the gate without activation",
          "[property][gates][temperature]") {
  auto plain = gate_of<hg::softmax_gate<double>>();
  auto identity = gate_of<activated<hg::identity>>();
  identity.p.head.weight = plain.p.head.weight;
  CHECK((dense_weights(identity(x)) - dense_weights(plain(x))).cwiseAbs().maxCoeff() < 1e-15);

  auto with_bias = gate_of<learned>();
  with_bias.p.score.log_temperature.setConstant(0.3);
  auto without = gate_of<activated<hg::identity>>();
  without.p.head.weight = with_bias.p.head.weight;
  without.p.score.log_temperature.setConstant(0.3);
  CHECK((dense_weights(with_bias(x)) - dense_weights(without(x))).cwiseAbs().maxCoeff() < 1e-15);
}

TEST_CASE("dense-to-sparse: scaling weights, biases and temperature together changes nothing",
          "[property][gates][temperature]") {
  for (const double c : {0.25, 3.0})
    CHECK(change(gate_of<learned>(), [c](learned::params& p) {
            p.head.weight *= c;
            p.head.bias *= c;
            p.score.log_temperature.array() += std::log(c);
          }) < 1e-13);
}

TEST_CASE("dense-to-sparse: the same scaling does change the activation gate, unless its activation is homogeneous",
          "[property][gates][temperature]") {
  const auto scale = [](auto& p) {
    p.head.weight *= 3;
    p.score.offset *= 3;
    p.score.log_temperature.array() += std::log(3.0);
  };
  CHECK(change(gate_of<activated<hg::sigmoid>>(), scale) > 0.01);
  CHECK(change(gate_of<activated<hg::tanh>>(), scale) > 0.01);
  CHECK(change(gate_of<activated<hg::relu>>(), scale) < 1e-13);
}

TEST_CASE("dense-to-sparse: the caller may anneal the temperature between passes", "[property][gates][temperature]") {
  auto gate = gate_of<fixed>();
  const hg::matrix<double> one = x.row(0);
  double last = 0;
  for (const double temperature : {8.0, 4.0, 2.0, 1.0, 0.5, 0.25}) {
    gate.gate.score.temperature = temperature;
    const double largest = dense_weights(gate(one)).maxCoeff();
    CHECK(largest > last);
    last = largest;
  }
}

TEST_CASE("dense-to-sparse: a learned temperature falls where a sharper choice pays",
          "[property][gates][temperature]") {
  auto gate = gate_of<learned>();
  const hg::matrix<double> one = x.row(0);
  for (int step = 0; step < 50; ++step) {
    const auto g = dense_weights(gate(one));
    hg::index best = 0;
    g.row(0).maxCoeff(&best);
    gate.backward(one, -hg::matrix<double>::Identity(4, 4).row(best));  // more weight on the top expert is better
    gate.p.score.log_temperature -= 0.5 * gate.dp.score.log_temperature;
  }
  CHECK(std::exp(gate.p.score.log_temperature(0, 0)) < 0.5);
}
