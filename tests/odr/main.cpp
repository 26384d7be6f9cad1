// SPDX-License-Identifier: BSD-3-Clause
#include "model.hpp"

int main() {
  const model layer{headgate::topk_gate<float>{.head = {.model = 16, .experts = 4}, .select = {.k = 2}},
                    headgate::swiglu_expert<float>{.model = 16, .hidden = 32}, /*seed=*/1};
  return run(layer) ? 0 : 1;
}
