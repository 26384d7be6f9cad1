// SPDX-License-Identifier: BSD-3-Clause
// Gradients of whole layers: the gates that pick any number of experts, with every expert; dropped tokens; losses.
#include "support/every_expert.hpp"

#include <headgate/losses/entropy.hpp>
#include <headgate/losses/router_z.hpp>
#include <headgate/losses/switch_balance.hpp>

using namespace headgate_test;

TEST_CASE("adamole_gate with every expert has the right gradients", "[layer][gradient]") {
  check_with_every_expert(hg::adamole_gate<double>{.head = {.model = model, .experts = experts}});
}

TEST_CASE("top_p_gate with every expert has the right gradients", "[layer][gradient]") {
  check_with_every_expert(
      hg::top_p_gate<double>{.head = {.model = model, .experts = experts}, .select = {.mass = 0.6}});
}

TEST_CASE("relu_gate with every expert has the right gradients", "[layer][gradient]") {
  check_with_every_expert(hg::relu_gate<double>{.head = {.model = model, .experts = experts}});
}

TEST_CASE("a layer that drops tokens and has three losses has the right gradients", "[layer][gradient]") {
  for (const auto rule : {hg::drop::by_position, hg::drop::by_probability}) {
    hg::layer layer{hg::softmax_topk_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 2}},
                    hg::swiglu_expert<double>{.model = model, .hidden = 3},
                    hg::ffn_expert<double, hg::gelu>{.model = model, .hidden = 2}, 17,
                    hg::layer_options{.capacity = {.factor = 0.7, .drop = rule}}};
    perturb(layer);
    check_layer_gradients(layer, 9, true, hg::switch_balance<double>{.weight = 0.3},
                          hg::router_z<double>{.weight = 0.2}, hg::entropy_bonus<double>{.weight = 0.1});
  }
}
