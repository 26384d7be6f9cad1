// SPDX-License-Identifier: BSD-3-Clause
// A packed layer that stores its own scalar gives the bits of the layer: in any batch, part of it, and executor.
#include <headgate/activations/gelu.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/frozen.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/lora.hpp>
#include <headgate/gates/named.hpp>

#include "support/packed_checks.hpp"

using namespace headgate_test;

namespace {

template <class T>
hg::topk_gate<T> random_gate(hg::index model, numbers& next) {
  const hg::index experts = 1 + next.below(7);
  return {.head = {.model = model, .experts = experts},
          .select = {.k = 1 + next.below((std::min)(experts, hg::index{3}))}};
}

/// Layers of random sizes from make(model, hidden, numbers).
template <class Make>
void check_shapes(int shapes, const Make& make) {
  numbers next(17);
  for (int shape = 0; shape < shapes; ++shape) {
    const hg::index model = odd_size(next), hidden = odd_size(next);
    CAPTURE(hidden);
    auto layer = make(model, hidden, next);
    disturb(layer, next.bits());
    check_packed<typename decltype(layer)::scalar>(layer, next.bits());
  }
}

}  // namespace

TEST_CASE("packed GLU experts with biases beside a shared FFN have the bits of the layer", "[packed_layer][bits]") {
  check_shapes(12, [](hg::index model, hg::index hidden, numbers& next) {
    return hg::layer{
        random_gate<float>(model, next),
        hg::swiglu_expert<float, hg::dynamic, hg::dynamic, hg::biases::used>{.model = model, .hidden = hidden},
        hg::ffn_expert<float, hg::gelu>{.model = model, .hidden = odd_size(next)}, next.bits()};
  });
}

TEST_CASE("packed GLU experts without biases have the bits of the layer in double", "[packed_layer][bits]") {
  check_shapes(12, [](hg::index model, hg::index hidden, numbers& next) {
    return hg::layer{random_gate<double>(model, next), hg::geglu_expert<double>{.model = model, .hidden = hidden},
                     next.bits()};
  });
}

TEST_CASE("packed FFN experts have the bits of the layer", "[packed_layer][bits]") {
  check_shapes(12, [](hg::index model, hg::index hidden, numbers& next) {
    return hg::layer{
        random_gate<float>(model, next),
        hg::ffn_expert<float, hg::relu, hg::dynamic, hg::dynamic, hg::biases::used>{.model = model, .hidden = hidden},
        next.bits()};
  });
}

TEST_CASE("packed linear experts have the bits of the layer", "[packed_layer][bits]") {
  check_shapes(12, [](hg::index model, hg::index outputs, numbers& next) {
    return hg::layer{
        random_gate<double>(model, next),
        hg::linear_expert<double, hg::dynamic, hg::dynamic, hg::biases::used>{.model = model, .outputs = outputs},
        next.bits()};
  });
}

TEST_CASE("packed LoRA experts beside a frozen base have the bits of the layer", "[packed_layer][bits]") {
  check_shapes(12, [](hg::index model, hg::index outputs, numbers& next) {
    return hg::layer{
        random_gate<float>(model, next),
        hg::lora_expert<float>{.model = model, .outputs = outputs, .rank = 1 + next.below(9), .dropout = 0.3F},
        hg::frozen{hg::linear_expert<float>{.model = model, .outputs = outputs}}, next.bits()};
  });
}
