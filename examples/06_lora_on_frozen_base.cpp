// SPDX-License-Identifier: BSD-3-Clause
// AdaMoLE (arXiv:2405.00361): low-rank experts beside a frozen linear map, as many for each token as pass its threshold.
#include <headgate/headgate.hpp>

#include <cstdio>

namespace hg = headgate;

int main() {
  constexpr hg::index model = 32;
  hg::layer layer{hg::adamole_gate<float>{.head = {.model = model, .experts = 4}},
                  hg::lora_expert<float>{.model = model, .outputs = model, .rank = 4},
                  hg::frozen{hg::linear_expert<float>{.model = model, .outputs = model}}, /*seed=*/1};
  const hg::matrix<float> base = layer.params().shared.weight;  // as a checkpoint would bring it

  // The new task: the base's map, changed by one matrix of rank 2 or another, whichever way the first feature points.
  std::mt19937_64 random(2);
  const auto x = hg::randn<float>(256, model, random);
  hg::matrix<float> target = x * base.transpose();
  if (layer(x).isApprox(target, 1e-5F)) std::puts("a fresh layer computes the base");
  for (const bool positive : {true, false}) {
    const hg::matrix<float> change =
        hg::randn<float>(model, 2, random, 0.3F) * hg::randn<float>(2, model, random, 0.3F);
    for (hg::index t = 0; t < x.rows(); ++t)
      if ((x(t, 0) > 0) == positive) target.row(t) += x.row(t) * change;
  }

  decltype(layer)::tape tape;
  auto grads = layer.zero_gradients();
  hg::adamw<float> adam{.rate = 3e-3, .weight_decay = 0};
  hg::matrix<float> y, dx;
  float first = 0, last = 0;
  for (int step = 0; step <= 400; ++step) {
    layer.forward(x, y, tape);
    const auto [loss, dy] = hg::mean_squared_error<float>(y, target);
    layer.set_zero(grads);
    layer.backward(x, dy, tape, dx, grads, hg::switch_balance<float>{.weight = 1e-3F});
    adam.step(layer, grads);
    (step == 0 ? first : last) = loss;
    if (step % 200 == 0)
      std::printf("step %3d  loss %.4f  experts per token %.2f\n", step, double(loss),
                  static_cast<double>(tape.routing.assignments.size()) / static_cast<double>(x.rows()));
  }
  const bool unchanged = layer.params().shared.weight == base;
  std::printf("base weights: %s\n", unchanged ? "unchanged, bit for bit" : "changed");
  return unchanged && last < 0.25F * first ? 0 : 1;
}
