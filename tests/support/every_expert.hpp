// SPDX-License-Identifier: BSD-3-Clause
// Gradient checks of a gate with every kind of expert, in a layer.
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

namespace headgate_test {

inline constexpr hg::index model = 5, experts = 4;

/// Moves every matrix of the layer away from where it starts.
template <class Layer>
void perturb(Layer& layer) {
  std::uint64_t seed = 900;
  layer.for_each_tensor(
      [&](std::string_view, auto& w) { w += 0.3 * random_matrix<double>(w.rows(), w.cols(), ++seed); });
}

template <class... Parts>
void check_one(const Parts&... parts) {
  hg::layer layer{parts..., 17};
  perturb(layer);
  check_layer_gradients(layer, 6, true);
  check_layer_gradients(layer, 6, false);
}

/// The gate's layer with FFN, GLU, linear and LoRA experts, and with trained and frozen shared ones beside them, in
/// training (noise, dropout) and in evaluation.
template <class Gate>
void check_with_every_expert(const Gate& gate) {
  using linear = hg::linear_expert<double>;
  check_one(gate,
            hg::ffn_expert<double, hg::gelu, hg::dynamic, hg::dynamic, hg::biases::used>{.model = model, .hidden = 3});
  check_one(gate, hg::swiglu_expert<double>{.model = model, .hidden = 3},
            hg::geglu_expert<double, hg::dynamic, hg::dynamic, hg::biases::used>{.model = model, .hidden = 2});
  check_one(gate, linear{.model = model, .outputs = 3});
  check_one(gate, hg::lora_expert<double>{.model = model, .outputs = 3, .rank = 2, .alpha = 3, .dropout = 0.3},
            hg::frozen{linear{.model = model, .outputs = 3}});
}

}  // namespace headgate_test
