// expect: layer::backward: a loss does not model headgate::routing_loss (docs/losses.md)
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

using some_layer = headgate::layer<headgate::topk_gate<float, 8, 4, 2>, headgate::swiglu_expert<float, 8, 16>>;

float refused(const some_layer& layer, const headgate::matrix<float>& x, some_layer::tape& tape) {
  auto gradients = layer.zero_gradients();
  headgate::matrix<float> dx;
  return layer.backward(x, x, tape, dx, gradients, [](int) { return 0.0f; });
}
