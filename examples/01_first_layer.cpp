// SPDX-License-Identifier: BSD-3-Clause
// A sparse layer in a few lines: eight experts, two for each token, trained to give back what they get.
#include <headgate/headgate.hpp>

#include <cstdio>

namespace hg = headgate;

int main() {
  hg::layer layer{hg::topk_gate<float>{.head = {.model = 16, .experts = 8}, .select = {.k = 2}},
                  hg::swiglu_expert<float>{.model = 16, .hidden = 64}, /*seed=*/42};
  std::mt19937_64 random(1);
  const auto x = hg::randn<float>(256, 16, random);  // tokens x model; any row-major Eigen matrix or map will do
  hg::matrix<float> y = layer(x), dy, dx;            // inference: const, and safe from many threads

  decltype(layer)::tape tape;  // what backward needs is yours
  auto grads = layer.zero_gradients();
  hg::adamw<float> adam{.rate = 1e-2};
  for (int step = 0; step <= 100; ++step) {
    layer.forward(x, y, tape);
    const float loss = hg::mean_squared_error<float>(y, x, dy);
    layer.set_zero(grads);
    layer.backward(x, dy, tape, dx, grads, hg::switch_balance<float>{.weight = 1e-2F});
    adam.step(layer, grads);
    if (step % 50 == 0)
      std::printf("step %3d  loss %.3f  tokens on expert 0: %td\n", step, double(loss), tape.routing.load()[0]);
  }
  return (y - x).norm() < 0.1F * x.norm() ? 0 : 1;
}
