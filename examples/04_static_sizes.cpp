// SPDX-License-Identifier: BSD-3-Clause
// Sizes at compile time: the same templates, empty policy objects, the same bits, and a pass that does not allocate.
#include <headgate/headgate.hpp>

#include <cstdio>

namespace hg = headgate;

using tiny_gate = hg::renormalised_topk_gate<float, 16, 4, 1>;  // model, experts, k
using tiny_expert = hg::swiglu_expert<float, 16, 32>;           // model, hidden
static_assert(std::is_empty_v<tiny_gate> && std::is_empty_v<tiny_expert>);

int main() {
  const hg::layer fixed{tiny_gate{}, tiny_expert{}, /*seed=*/42};
  const hg::layer flexible{hg::renormalised_topk_gate<float>{.head = {.model = 16, .experts = 4}, .select = {.k = 1}},
                           hg::swiglu_expert<float>{.model = 16, .hidden = 32}, /*seed=*/42};
  std::mt19937_64 random(1);
  const auto x = hg::randn<float>(3, 16, random);

  // Inside a deadline: a workspace that has seen the size once, and output of one's own.
  decltype(fixed)::workspace workspace;
  float memory[3 * 16];
  Eigen::Map<hg::matrix<float>> y(memory, 3, 16);
  for (int frame = 0; frame < 2; ++frame) fixed.forward(x, y, workspace);

  std::printf("policies: %zu and %zu bytes static, %zu and %zu dynamic\n", sizeof(tiny_gate), sizeof(tiny_expert),
              sizeof(flexible.gate()), sizeof(flexible.expert()));
  const bool same_bits = y == flexible(x);
  std::printf("outputs: %s\n", same_bits ? "the same bits" : "different");

  try {  // a run-time size that contradicts the type is refused
    [[maybe_unused]] const tiny_expert wrong{.model = 17};
    return 1;
  } catch (const std::invalid_argument& error) {
    std::printf("refused: %s\n", error.what());
  }
  return same_bits ? 0 : 1;
}
