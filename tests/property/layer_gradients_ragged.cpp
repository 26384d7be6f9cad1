// SPDX-License-Identifier: BSD-3-Clause
// Gradients of whole layers: the gates that pick any number of experts, with every expert; dropped tokens; losses.
#include "support/every_expert.hpp"

#include <headgate/losses/communication_balance.hpp>
#include <headgate/losses/device_balance.hpp>
#include <headgate/losses/expert_counts.hpp>
#include <headgate/losses/global_balance.hpp>
#include <headgate/losses/mutual_information.hpp>
#include <headgate/losses/sequence_balance.hpp>

#include <vector>

using namespace headgate_test;

TEST_CASE("adamole_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert_and_loss(hg::adamole_gate<double>{.head = {.model = model, .experts = experts}});
}

TEST_CASE("top_p_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert_and_loss(
      hg::top_p_gate<double>{.head = {.model = model, .experts = experts}, .select = {.mass = 0.6}});
}

TEST_CASE("relu_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert_and_loss(hg::relu_gate<double>{.head = {.model = model, .experts = experts}});
}

TEST_CASE("gshard_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert_and_loss(
      hg::gshard_gate<double>{.gate = {.head = {.model = model, .experts = experts}}, .threshold = 0.8});
}

TEST_CASE("expert_choice_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert_and_loss(
      hg::expert_choice_gate<double>{.head = {.model = model, .experts = experts}, .capacity = {.factor = 1.5}});
}

TEST_CASE("sinkhorn_gate with every expert and routing losses has the right gradients", "[layer][gradient]") {
  check_with_every_expert_and_loss(
      hg::sinkhorn_gate<double>{.gate = {.head = {.model = model, .experts = experts}, .select = {.k = 2}}});
  check_with_every_expert_and_loss(hg::sinkhorn<hg::softmax_topk_gate<double>>{
      .gate = {.head = {.model = model, .experts = experts}, .select = {.k = 2}}});
}

TEST_CASE("a layer that drops tokens and has three losses has the right gradients", "[layer][gradient]") {
  for (const auto rule : {hg::drop::by_position, hg::drop::by_probability, hg::drop::by_choice, hg::drop::by_priority})
    check_disturbed(
        hg::layer{hg::softmax_topk_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 2}},
                  hg::swiglu_expert<double>{.model = model, .hidden = 3},
                  hg::ffn_expert<double, hg::gelu>{.model = model, .hidden = 2}, 17,
                  hg::layer_options{.capacity = {.factor = 0.7, .drop = rule}}},
        9, hg::switch_balance<double>{.weight = 0.3}, hg::router_z<double>{.weight = 0.2},
        hg::entropy_bonus<double>{.weight = 0.1});
}

TEST_CASE(
    "balance of sequences, devices and communication, mutual information and concentration have the right gradients "
    "in a layer",
    "[layer][gradient]") {
  const std::vector<hg::index> devices = {1, 0, 1, 1};
  const std::vector<hg::index> offsets = {0, 4, 4, 9};
  const bool mask[9] = {true, true, false, true, true, true, true, true, false};
  REQUIRE(experts == static_cast<hg::index>(devices.size()));
  const auto check = [&](const auto& gate) {
    check_disturbed(hg::layer{gate, hg::swiglu_expert<double>{.model = model, .hidden = 3}, 17}, 9,
                    hg::sequence_balance<double>{.weight = 0.3, .offsets = offsets, .mask = mask},
                    hg::device_balance<double>{.weight = 0.2, .devices = devices, .mask = mask},
                    hg::communication_balance<double>{.weight = 0.4, .devices = devices},
                    hg::mutual_information_balance<double>{.weight = 0.2, .mask = mask},
                    hg::load_concentration<double>{.weight = 0.1, .mask = mask});
  };
  check(hg::softmax_topk_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 2}});
  check(hg::topk_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 2}});
  check(hg::sigmoid_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 2}});
  check(hg::top_p_gate<double>{.head = {.model = model, .experts = experts}, .select = {.mass = 0.6}});
}

TEST_CASE("global balance and the entropy bonus have the right gradients in a layer, the counts being constants",
          "[layer][gradient]") {
  hg::layer layer{hg::softmax_topk_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 2}},
                  hg::swiglu_expert<double>{.model = model, .hidden = 3}, 17};
  layer.for_each_tensor(disturb_all{{900}});
  const std::vector<hg::matrix<double>> micro_batches = {random_matrix(6, model, {31}), random_matrix(9, model, {32}),
                                                         random_matrix(4, model, {33})};
  const auto check = [&](const hg::matrix<double>& x, const hg::expert_counts& counts) {
    for (const bool training : {true, false})
      CHECK(hg::testing::check_layer_gradients(layer, x, strict(training),
                                               hg::global_balance<double>{.weight = 0.6, .counts = &counts},
                                               hg::entropy_bonus<double>{.weight = 0.1}));
  };
  hg::expert_counts pooled;
  decltype(layer)::workspace memory;
  hg::matrix<double> y;
  for (const auto& x : micro_batches) {
    hg::expert_counts own;
    layer.forward(x, y, memory);
    own.collect(memory.routing);
    pooled.merge(own);
    check(x, own);
  }
  CHECK(pooled.total() == 2 * (6 + 9 + 4));
  for (const auto& x : micro_batches) check(x, pooled);
}
