// SPDX-License-Identifier: BSD-3-Clause
// Gradient checks of a gate with every kind of expert, in a layer, with routing losses.
#pragma once

#include "support/layer_checks.hpp"

#include <headgate/activations/gelu.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/frozen.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/lora.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/losses/entropy.hpp>
#include <headgate/losses/importance.hpp>
#include <headgate/losses/router_z.hpp>
#include <headgate/losses/switch_balance.hpp>

namespace headgate_test {

inline constexpr hg::index model = 5, experts = 4;

/// The layer as it is, and as it is in evaluation, every matrix disturbed from where it starts.
template <class Layer, class... Losses>
void check_disturbed(Layer layer, hg::index tokens, const Losses&... losses) {
  layer.for_each_tensor(disturb_all{{900}});
  const auto x = random_matrix(tokens, layer.model(), {31});
  for (const bool training : {true, false})
    CHECK(hg::testing::check_layer_gradients(layer, x, strict(training), losses...));
}

/// The gate's layer with FFN, GLU, linear and LoRA experts, with trained and frozen shared ones beside them, and with
/// these routing losses, in training (noise, dropout) and in evaluation.
template <class Gate, class... Losses>
void check_with_every_expert(const Gate& gate, const Losses&... losses) {
  using linear = hg::linear_expert<double>;
  const hg::ffn_expert<double, hg::gelu, hg::dynamic, hg::dynamic, hg::biases::used> ffn{.model = model, .hidden = 3};
  const hg::swiglu_expert<double> swiglu{.model = model, .hidden = 3};
  const hg::geglu_expert<double, hg::dynamic, hg::dynamic, hg::biases::used> shared{.model = model, .hidden = 2};
  const hg::lora_expert<double> lora{.model = model, .outputs = 3, .rank = 2, .alpha = 3, .dropout = 0.3};
  check_disturbed(hg::layer{gate, ffn, 17}, 6, losses...);
  check_disturbed(hg::layer{gate, swiglu, shared, 17}, 6, losses...);
  check_disturbed(hg::layer{gate, linear{.model = model, .outputs = 3}, 17}, 6, losses...);
  check_disturbed(hg::layer{gate, lora, hg::frozen{linear{.model = model, .outputs = 3}}, 17}, 6, losses...);
}

/// The same with the losses that read probabilities, logits and scores.
template <class Gate>
void check_with_every_expert_and_loss(const Gate& gate) {
  check_with_every_expert(gate, hg::switch_balance<double>{.weight = 0.3}, hg::router_z<double>{.weight = 0.05},
                          hg::entropy_penalty<double>{.weight = 0.2}, hg::importance_balance<double>{.weight = 0.4});
}

}  // namespace headgate_test
