// SPDX-License-Identifier: BSD-3-Clause
// Inference from packed weights: the same bits in fp32, half the memory in bf16, and not one allocation in the loop.
#include <headgate/headgate.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include <cstdio>

namespace hg = headgate;

int main() {
  const hg::layer layer{hg::topk_gate<float>{.head = {.model = 256, .experts = 16}, .select = {.k = 2}},
                        hg::swiglu_expert<float>{.model = 256, .hidden = 512}, /*seed=*/42};
  std::mt19937_64 random(1);
  const auto x = hg::randn<float>(64, 256, random);

  const hg::packed_layer packed{layer};  // weights in the kernels' own order; the layer is not needed any more
  const hg::packed_layer<decltype(layer), hg::bf16> half{layer};

  const hg::thread_pool pool(2);
  const auto plan = packed.plan(/*tokens=*/64, pool.workers());
  decltype(packed)::workspace memory;
  packed.reserve(pool, 64, memory);  // from here on nothing is allocated, whatever the routing
  hg::matrix<float> y(64, 256);
  for (hg::index tokens = 1; tokens <= 64; tokens *= 2)  // decode and prefill read the same panels
    packed.forward(pool, x.topRows(tokens), y.topRows(tokens), memory);

  const hg::matrix<float> expected = layer(x), rounded = half(x);
  const bool same = y == expected;
  const float error = (rounded - expected).norm() / expected.norm();
  std::printf("fp32: %s, %.1f MB; workspace of 64 tokens: %.2f MB\n", same ? "the layer's bits" : "other bits",
              static_cast<double>(packed.bytes()) * 1e-6, static_cast<double>(plan.bytes) * 1e-6);
  std::printf("bf16: %.4f from it, %.1f MB\n", static_cast<double>(error), static_cast<double>(half.bytes()) * 1e-6);
  return same && error < 0.01F ? 0 : 1;
}
