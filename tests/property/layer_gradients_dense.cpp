// SPDX-License-Identifier: BSD-3-Clause
// Gradients of whole layers: the gates that use all experts, with every expert.
#include "support/every_expert.hpp"

using namespace headgate_test;

TEST_CASE("softmax_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert_and_loss(hg::softmax_gate<double>{.head = {.model = model, .experts = experts}});
}

TEST_CASE("gumbel_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert_and_loss(hg::gumbel_gate<double>{.head = {.model = model, .experts = experts},
                                                           .score = {.temperature = 0.7, .samples = 3}});
}

TEST_CASE("temperature_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert_and_loss(
      hg::temperature_gate<double>{.head = {.model = model, .experts = experts}, .score = {.temperature = 0.6}});
}

TEST_CASE("dense_to_sparse_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert_and_loss(hg::dense_to_sparse_gate<double>{.head = {.model = model, .experts = experts},
                                                                    .score = {.initial_temperature = 1.4}});
}

TEST_CASE("activation_dense_to_sparse_gate with every expert and routing losses has the right gradients",
          "[layer][gradient]") {
  check_with_every_expert_and_loss(
      hg::activation_dense_to_sparse_gate<double>{.head = {.model = model, .experts = experts}});
}
