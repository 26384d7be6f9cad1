// SPDX-License-Identifier: BSD-3-Clause
// A whole training step, optimiser and output head included, allocates nothing after the first.
#include <headgate/headgate.hpp>

#include "allocation/counting_new.hpp"
#include "support/layer_checks.hpp"

using namespace headgate_test;

namespace {

template <class T, class Optimiser>
void check_step(Optimiser optimiser) {
  hg::layer layer{hg::topk_gate<T>{.head = {.model = 24, .experts = 6}, .select = {.k = 2}},
                  hg::swiglu_expert<T>{.model = 24, .hidden = 40}, 1};
  hg::dense_layer head{hg::linear_expert<T, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 24, .outputs = 10}, 2};
  Optimiser for_head = optimiser;
  typename decltype(layer)::tape tape;
  typename decltype(head)::tape head_tape;
  auto grads = layer.zero_gradients();
  auto head_grads = head.zero_gradients();
  const auto x = random_matrix<T>(60, 24, {1}), dscores = random_matrix<T>(60, 10, {2});
  hg::matrix<T> y, dy, dx, scores;
  const auto step = [&] {
    layer.forward(x, y, tape);
    head.forward(y, scores, head_tape);
    layer.set_zero(grads);
    head.set_zero(head_grads);
    head.backward(y, dscores, head_tape, dy, head_grads);
    layer.backward(x, dy, tape, dx, grads, hg::switch_balance<T>{});
    hg::clip_gradient_norm(1.0, layer, grads);
    optimiser.step(layer, grads);
    for_head.step(head, head_grads);
  };
  CHECK(allocations_of(step) > 0);
  CHECK(allocations_of(step) == 0);
  CHECK(allocations_of(step) == 0);
}

}  // namespace

TEMPLATE_TEST_CASE("the second training step with AdamW allocates nothing", "[allocation]", float, double) {
  check_step<TestType>(hg::adamw<TestType>{});
}

TEMPLATE_TEST_CASE("the second training step with momentum allocates nothing", "[allocation]", float, double) {
  check_step<TestType>(hg::sgd<TestType>{.momentum = 0.9});
}
