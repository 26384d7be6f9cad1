// SPDX-License-Identifier: BSD-3-Clause
// A packed layer of 16-bit weights gives the bits of the layer whose weights were rounded first: that is what its storage
// means. In any batch, part of it, and executor.
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

hg::topk_gate<float> random_gate(hg::index model, numbers& next) {
  const hg::index experts = 1 + next.below(7);
  return {.head = {.model = model, .experts = experts},
          .select = {.k = 1 + next.below((std::min)(experts, hg::index{3}))}};
}

}  // namespace

TEMPLATE_TEST_CASE("packed 16-bit GLU experts beside a shared FFN have the bits of rounded weights",
                   "[packed_layer][bits]", hg::bf16, hg::fp16) {
  numbers next(19);
  for (int shape = 0; shape < 12; ++shape) {
    const hg::index model = odd_size(next), hidden = odd_size(next);
    CAPTURE(hidden);
    hg::layer layer{
        random_gate(model, next),
        hg::swiglu_expert<float, hg::dynamic, hg::dynamic, hg::biases::used>{.model = model, .hidden = hidden},
        hg::ffn_expert<float, hg::gelu>{.model = model, .hidden = odd_size(next)}, next.bits()};
    disturb(layer, next.bits());
    check_packed<TestType>(layer, next.bits());
  }
}

TEMPLATE_TEST_CASE("packed 16-bit LoRA experts beside a frozen base have the bits of rounded weights",
                   "[packed_layer][bits]", hg::bf16, hg::fp16) {
  numbers next(23);
  for (int shape = 0; shape < 12; ++shape) {
    const hg::index model = odd_size(next), outputs = odd_size(next);
    hg::layer layer{random_gate(model, next), hg::lora_expert<float>{.model = model, .outputs = outputs, .rank = 3},
                    hg::frozen{hg::linear_expert<float>{.model = model, .outputs = outputs}}, next.bits()};
    disturb(layer, next.bits());
    check_packed<TestType>(layer, next.bits());
  }
}
