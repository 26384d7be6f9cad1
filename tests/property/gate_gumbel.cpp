// SPDX-License-Identifier: BSD-3-Clause
// The Gumbel-softmax gate (GG MoE, arXiv:2502.03608).
#include <headgate/gates/named.hpp>

#include <headgate/experts/linear.hpp>
#include <headgate/layer.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

using gumbel = hg::gumbel_gate<double>;
const auto golden_logits = rows_of({{1, .2, -.7, 0}});

gumbel gate_of(const hg::gumbel_softmax<double>& score, hg::index model = 4) {
  return {.head = {.model = model, .experts = 4}, .score = score, .select = {}, .weigh = {}};
}

}  // namespace

TEST_CASE("Gumbel-softmax: a temperature near zero gives one-hot weights", "[property][gates][gumbel]") {
  routed gate(gate_of({.temperature = 1e-6}));
  const auto g = dense_weights(gate.training(random_matrix(50, 4, {1}), 2));
  for (hg::index t = 0; t < 50; ++t) CHECK(g.row(t).maxCoeff() == Approx(1).epsilon(1e-12));
}

TEST_CASE("Gumbel-softmax: a large temperature gives every expert 1 / experts", "[property][gates][gumbel]") {
  routed gate(gate_of({.temperature = 1e8}));
  const auto g = dense_weights(gate.training(random_matrix(50, 4, {1}), 2));
  CHECK((g.array() - 0.25).abs().maxCoeff() < 1e-6);
}

TEST_CASE("Gumbel-softmax: without noise and at temperature one it is the softmax", "[property][gates][gumbel]") {
  routed gate(gate_of({.temperature = 1, .samples = 0}));
  routed dense(hg::temperature_gate<double>{.head = {.model = 4, .experts = 4}, .score = {.temperature = 1}});
  dense.p.head = gate.p.head;
  const auto x = random_matrix(8, 4, {3});
  CHECK(dense_weights(gate(x)) == dense_weights(dense(x)));
}

TEST_CASE("Gumbel-softmax: the mean of the hard samples is the softmax, at any temperature",
          "[property][gates][gumbel]") {
  constexpr hg::index draws = 200000;
  const double softmax[] = {.5000, .2247, .0913, .1839};
  for (const double temperature : {0.2, 1.0, 30.0}) {
    auto gate = copying(gate_of({.temperature = temperature, .hard = true}));
    const auto g = dense_weights(gate.training(golden_logits.replicate(draws, 1), 4));
    for (hg::index e = 0; e < 4; ++e) {
      const double sigma = std::sqrt(softmax[e] * (1 - softmax[e]) / draws);
      CHECK(std::abs(g.col(e).mean() - softmax[e]) < 3 * sigma + 5e-5);  // the golden numbers have four digits
    }
  }
}

TEST_CASE("Gumbel-softmax: the average of the sampled outputs is the output with the averaged gate",
          "[property][gates][gumbel]") {
  const hg::gumbel_softmax<double> score{.temperature = 0.5, .samples = 6, .evaluation_seed = 21};
  hg::layer layer{gate_of(score), hg::linear_expert<double>{.model = 4, .outputs = 3}, 5};
  const auto x = random_matrix(7, 4, {6});
  hg::matrix<double> y, mean = hg::matrix<double>::Zero(7, 3);
  decltype(layer)::workspace memory;
  layer.forward(x, y, memory);
  CHECK(memory.plan.slots() == 7 * 4);  // each expert has seen each token once, not once for each sample

  const auto& head = layer.params().gate.head;
  for (hg::index t = 0; t < 7; ++t)
    for (hg::index sample = 0; sample < 6; ++sample) {
      hg::matrix<double> weight(1, 4);
      for (hg::index e = 0; e < 4; ++e)
        weight(0, e) = std::exp((x.row(t).dot(head.weight.row(e)) + hg::gumbel({21}, sample, e)) / 0.5);
      weight /= weight.sum();
      for (hg::index e = 0; e < 4; ++e)
        mean.row(t) += weight(0, e) / 6 * (x.row(t) * layer.params().experts[e].weight.transpose());
    }
  CHECK((mean - y).cwiseAbs().maxCoeff() < 1e-13);
}

TEST_CASE("Gumbel-softmax: the same seed gives the same output, another seed another", "[property][gates][gumbel]") {
  routed gate(gate_of({}));
  const auto x = random_matrix(5, 4, {7});
  const auto in_training = dense_weights(gate.training(x, 8));
  CHECK(dense_weights(gate.training(x, 8)) == in_training);
  CHECK(dense_weights(gate.training(x, 9)) != in_training);
  const auto in_evaluation = dense_weights(gate(x));
  CHECK(dense_weights(gate(x)) == in_evaluation);
  gate.gate.score.evaluation_seed = 1;
  CHECK(dense_weights(gate(x)) != in_evaluation);
}

TEST_CASE("Gumbel-softmax: the variance in evaluation falls as 1 / samples", "[property][gates][gumbel]") {
  constexpr int seeds = 1500;  // the variance is known to sqrt(2 / seeds) = 3.7 percent
  double scaled_variance[3];
  int i = 0;
  for (const hg::index samples : {1, 4, 16}) {
    auto gate = copying(gate_of({.samples = samples}));
    double sum = 0, squares = 0;
    for (int seed = 0; seed < seeds; ++seed) {
      gate.gate.score.evaluation_seed = static_cast<std::uint64_t>(seed);
      const double g = gate(golden_logits).scores(0, 1);
      sum += g;
      squares += g * g;
    }
    scaled_variance[i++] = static_cast<double>(samples) * (squares / seeds - sum * sum / seeds / seeds);
  }
  CHECK(scaled_variance[1] == Approx(scaled_variance[0]).epsilon(0.15));
  CHECK(scaled_variance[2] == Approx(scaled_variance[0]).epsilon(0.15));
}

TEST_CASE("Gumbel-softmax: the gradient of the hard gate is that of the soft one for the same sample",
          "[property][gates][gumbel]") {
  routed soft(gate_of({.temperature = 0.8})), hard(gate_of({.temperature = 0.8, .hard = true}));
  const auto x = random_matrix(6, 4, {10}), dg = random_matrix(6, 4, {11});
  soft.training(x, 12);
  hard.training(x, 12);
  soft.backward(x, dg);
  hard.backward(x, dg);
  CHECK(hard.dp.head.weight == soft.dp.head.weight);
  CHECK(hard.dp.head.bias == soft.dp.head.bias);
  CHECK(hard.dx == soft.dx);
  CHECK(hard.dx.norm() > 0.01);
}

TEST_CASE("Gumbel-softmax: the gradient is alpha_i (delta_ij - alpha_j) / temperature", "[property][gates][gumbel]") {
  auto gate = copying(gate_of({.temperature = 0.8}));
  const auto z = random_matrix(1, 4, {13});
  const auto alpha = dense_weights(gate.training(z, 14));
  for (hg::index i = 0; i < 4; ++i) {
    gate.backward(z, hg::matrix<double>::Identity(4, 4).row(i));
    for (hg::index j = 0; j < 4; ++j)
      CHECK(gate.dx(0, j) == Approx(alpha(0, i) * ((i == j) - alpha(0, j)) / 0.8).epsilon(1e-12));
  }
}
