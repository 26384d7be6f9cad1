// expect: packed_layer: weights are stored in the layer's scalar or, if that is float, in bf16 or fp16
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/packed_layer.hpp>

void pack() {
  const headgate::layer layer{headgate::topk_gate<double>{.head = {.model = 4, .experts = 2}, .select = {.k = 1}},
                              headgate::linear_expert<double>{.model = 4, .outputs = 4}, 1};
  const headgate::packed_layer<decltype(layer), headgate::bf16> packed{layer};
}
