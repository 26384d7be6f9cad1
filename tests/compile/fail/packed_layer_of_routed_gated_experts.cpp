// expect: packed_layer: an expert does not model headgate::packable_expert (docs/writing-an-expert.md)
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/linear.hpp>
#include <headgate/experts/sigmoid_gated.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/packed_layer.hpp>

// Only the shared expert may have a gate of its own.
void pack() {
  const headgate::layer layer{headgate::topk_gate<float>{.head = {.model = 4, .experts = 2}, .select = {.k = 1}},
                              headgate::sigmoid_gated{headgate::linear_expert<float>{.model = 4, .outputs = 4}}, 1};
  const headgate::packed_layer packed{layer};
}
