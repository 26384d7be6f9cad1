// SPDX-License-Identifier: BSD-3-Clause
// Gradients of whole layers: the gates that pick a fixed number of experts, with every expert.
#include "support/every_expert.hpp"

#include <headgate/losses/load.hpp>

using namespace headgate_test;

TEST_CASE("topk_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert_and_loss(
      hg::topk_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 2}});
}

TEST_CASE("softmax_topk_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert_and_loss(
      hg::softmax_topk_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 1}});
}

TEST_CASE("renormalised_topk_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert_and_loss(
      hg::renormalised_topk_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 3}});
}

TEST_CASE("noisy_topk_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert(hg::noisy_topk_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 2}},
                          hg::importance_balance<double>{.weight = 0.4}, hg::load_balance<double>{.weight = 0.3},
                          hg::router_z<double>{.weight = 0.05});
}

TEST_CASE("sigmoid_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert_and_loss(
      hg::sigmoid_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 2}});
}

TEST_CASE("balanced_sigmoid_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert_and_loss(
      hg::balanced_sigmoid_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 2}});
}
