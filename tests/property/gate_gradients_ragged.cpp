// SPDX-License-Identifier: BSD-3-Clause
// Gradients of the gates with a varying number of experts, and of the sigmoid gates, composed in a layer, with routing
// losses, by differences to 1e-6.
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/losses/entropy.hpp>
#include <headgate/losses/importance.hpp>
#include <headgate/losses/router_z.hpp>
#include <headgate/losses/switch_balance.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

constexpr hg::index model = 5, experts = 4, tokens = 6;

/// The gate with a SwiGLU and with a linear expert, everything disturbed from its initial value, in training and in
/// evaluation.
template <class Gate, class... Losses>
void check_in_layers(const Gate& gate, const Losses&... losses) {
  const auto x = random_matrix(tokens, model, {1});
  const auto check = [&](auto layer) {
    hg::testing::disturb<Gate>(layer.params().gate, {2});
    for (const bool training : {true, false})
      CHECK(hg::testing::check_layer_gradients(layer, x, {.training = training}, losses...));
  };
  check(hg::layer(gate, hg::swiglu_expert<double>{.model = model, .hidden = 3}, 3));
  check(hg::layer(gate, hg::linear_expert<double>{.model = model, .outputs = 2}, 4));
}

const hg::switch_balance<double> balance{.weight = 0.3};
const hg::router_z<double> z_loss{.weight = 0.05};
const hg::entropy_penalty<double> entropy{.weight = 0.2};
const hg::importance_balance<double> importance{.weight = 0.4};

}  // namespace

TEST_CASE("sigmoid_gate in a layer has the right gradients", "[property][gates][gradients]") {
  check_in_layers(hg::sigmoid_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 2}}, balance,
                  z_loss, entropy, importance);
}

TEST_CASE("balanced_sigmoid_gate in a layer has the right gradients", "[property][gates][gradients]") {
  check_in_layers(hg::balanced_sigmoid_gate<double>{.head = {.model = model, .experts = experts}, .select = {.k = 2}},
                  balance, z_loss, entropy, importance);
}

TEST_CASE("adamole_gate in a layer has the right gradients", "[property][gates][gradients]") {
  check_in_layers(hg::adamole_gate<double>{.head = {.model = model, .experts = experts}}, balance, z_loss, entropy,
                  importance);
}

TEST_CASE("top_p_gate in a layer has the right gradients", "[property][gates][gradients]") {
  check_in_layers(hg::top_p_gate<double>{.head = {.model = model, .experts = experts}, .select = {.mass = 0.6}},
                  balance, z_loss, entropy, importance);
}

TEST_CASE("relu_gate in a layer has the right gradients", "[property][gates][gradients]") {
  check_in_layers(hg::relu_gate<double>{.head = {.model = model, .experts = experts}}, balance, z_loss, entropy,
                  importance);
}
