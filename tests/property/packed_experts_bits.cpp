// SPDX-License-Identifier: BSD-3-Clause
// Packed layers of clamped, gated, constant and free experts, and of weights on the input: the bits of the layer.
#include <headgate/activations/gelu.hpp>
#include <headgate/experts/constant.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/frozen.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/sigmoid_gated.hpp>
#include <headgate/experts/with_free_experts.hpp>
#include <headgate/gates/named.hpp>

#include "support/packed_checks.hpp"

using namespace headgate_test;

namespace {

template <class T>
using clamped = hg::clamped_swiglu_expert<T, hg::dynamic, hg::dynamic, hg::biases::used>;

constexpr hg::layer_options on_input{.weight_on = hg::weight_on::input};

template <class T>
hg::topk_gate<T> gate_of(hg::index model, hg::index experts, hg::index k) {
  return {.head = {.model = model, .experts = experts}, .select = {.k = k}};
}

/// Layers of random sizes from make(model, hidden).
template <class Storage = float, class Make>
void check_shapes(int shapes, const Make& make) {
  numbers next(17);
  for (int shape = 0; shape < shapes; ++shape) {
    const hg::index model = odd_size(next), hidden = odd_size(next);
    CAPTURE(hidden);
    auto layer = make(model, hidden);
    disturb(layer, next.bits());
    check_packed<Storage>(layer, next.bits());
  }
}

}  // namespace

TEST_CASE("packed clamped GLU experts have the bits of the layer", "[packed_layer][bits]") {
  check_shapes(6, [](hg::index model, hg::index hidden) {
    return hg::layer{gate_of<float>(model, 5, 2),
                     clamped<float>{.model = model, .hidden = hidden, .activation = {.limit = 0.5}}, 1};
  });
}

TEST_CASE("a packed shared expert with a gate of its own has the bits of the layer", "[packed_layer][bits]") {
  const auto make = [](hg::index model, hg::index hidden) {
    const hg::swiglu_expert<float> expert{.model = model, .hidden = hidden};
    return hg::layer{gate_of<float>(model, 5, 2), expert, hg::sigmoid_gated{expert}, 1};
  };
  check_shapes(6, make);
  check_shapes<double>(3, [](hg::index model, hg::index hidden) {
    return hg::layer{gate_of<double>(model, 3, 1), hg::linear_expert<double>{.model = model, .outputs = hidden},
                     hg::sigmoid_gated{hg::linear_expert<double>{.model = model, .outputs = hidden}}, 1};
  });
}

TEST_CASE("packed constant experts, shared and routed, have the bits of the layer", "[packed_layer][bits]") {
  check_shapes(6, [](hg::index model, hg::index outputs) {
    return hg::layer{gate_of<float>(model, 5, 2), hg::linear_expert<float>{.model = model, .outputs = outputs},
                     hg::constant_expert<float>{.model = model, .outputs = outputs}, 1};
  });
  check_shapes<double>(3, [](hg::index model, hg::index outputs) {
    return hg::layer{gate_of<double>(model, 5, 2), hg::constant_expert<double>{.model = model, .outputs = outputs}, 1};
  });
  check_shapes<hg::bf16>(2, [](hg::index model, hg::index outputs) {
    return hg::layer{gate_of<float>(model, 5, 2), hg::linear_expert<float>{.model = model, .outputs = outputs},
                     hg::constant_expert<float>{.model = model, .outputs = outputs}, 1};
  });
}

TEST_CASE("packed experts beside identities and zeros have the bits of the layer", "[packed_layer][bits]") {
  check_shapes(6, [](hg::index model, hg::index hidden) {
    return hg::layer{gate_of<float>(model, 7, 3),
                     hg::with_free_experts{clamped<float>{.model = model, .hidden = hidden}, 2, 2},
                     hg::ffn_expert<float, hg::gelu>{.model = model, .hidden = hidden}, 1};
  });
  check_shapes<double>(3, [](hg::index model, hg::index) {
    return hg::layer{
        gate_of<double>(model, 7, 3),
        hg::frozen{hg::with_free_experts{hg::linear_expert<double>{.model = model, .outputs = model}, 3, 1}}, 1};
  });
}

TEST_CASE("packed layers with weights on the input have the bits of the layer", "[packed_layer][bits]") {
  check_shapes(6, [](hg::index model, hg::index hidden) {
    const clamped<float> expert{.model = model, .hidden = hidden};
    return hg::layer{gate_of<float>(model, 5, 2), expert, hg::sigmoid_gated{expert}, 1, on_input};
  });
  check_shapes(4, [](hg::index model, hg::index hidden) {
    return hg::layer{gate_of<float>(model, 7, 3),
                     hg::with_free_experts{hg::swiglu_expert<float>{.model = model, .hidden = hidden}, 2, 1}, 1,
                     on_input};
  });
  check_shapes<double>(4, [](hg::index model, hg::index outputs) {
    return hg::layer{gate_of<double>(model, 5, 2), hg::linear_expert<double>{.model = model, .outputs = outputs}, 1,
                     hg::layer_options{.capacity = {.factor = 0.7}, .weight_on = hg::weight_on::input}};
  });
}

TEST_CASE("a zero expert turns a sum of -0 into 0 in both layers", "[packed_layer][bits]") {
  hg::layer layer{gate_of<float>(3, 2, 1),
                  hg::with_free_experts{hg::linear_expert<float>{.model = 3, .outputs = 3}, 0, 1},
                  hg::constant_expert<float>{.model = 3, .outputs = 3}, 1};
  layer.params().shared.bias.setConstant(-0.0F);
  const auto x = random_matrix<float>(20, 3, {1});
  CHECK(same_matrix(hg::packed_layer(layer)(x), layer(x)));
}
