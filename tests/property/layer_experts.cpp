// SPDX-License-Identifier: BSD-3-Clause
// What published layers are made of beside plain experts: weights on the input, experts without parameters, gated and
// constant shared experts. Values, gradients, bits.
#include <headgate/experts/constant.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/frozen.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/sigmoid_gated.hpp>
#include <headgate/experts/with_free_experts.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/losses/switch_balance.hpp>
#include <headgate/reference/moe.hpp>

#include "support/any_executor.hpp"
#include "support/layer_checks.hpp"

#include <vector>

using namespace headgate_test;

namespace {

template <class T>
using swiglu = hg::swiglu_expert<T, hg::dynamic, hg::dynamic, hg::biases::used>;
template <class T>
using linear = hg::linear_expert<T>;

constexpr hg::layer_options on_input{.weight_on = hg::weight_on::input};

template <class T>
hg::softmax_topk_gate<T> gate_of(hg::index model, hg::index experts, hg::index k) {
  return {.head = {.model = model, .experts = experts}, .select = {.k = k}};
}

template <class T>
hg::with_free_experts<swiglu<T>> with_free(hg::index model, hg::index hidden) {
  return {.expert = {.model = model, .hidden = hidden}, .identities = 2, .zeros = 1};
}

template <class Layer, class... Losses>
void check_gradients(Layer layer, const Losses&... losses) {
  layer.for_each_tensor(disturb_all{{900}});
  const auto x = random_matrix(7, layer.model(), {31});
  for (const bool training : {true, false})
    CHECK(hg::testing::check_layer_gradients(layer, x, strict(training), losses...));
}

/// Every token alone has the bits that it has in batches, on any executor; gradients have the same bits on any executor.
template <class Layer>
void check_bits(Layer layer) {
  using T = typename Layer::scalar;
  layer.for_each_tensor(disturb_all{{900}});
  const auto x = random_matrix<T>(90, layer.model(), {41}), dy = random_matrix<T>(90, layer.outputs(), {42});
  hg::matrix<T> alone(90, layer.outputs()), y, dx, expected_dx;
  typename Layer::workspace memory;
  const any_executor sequentially(hg::run_sequentially);
  for (hg::index t = 0; t < 90; ++t) layer.forward(sequentially, x.row(t), alone.row(t), memory);
  typename Layer::tape tape;
  tape.training = false;
  auto expected = layer.zero_gradients();
  layer.forward(sequentially, x, y, tape);
  layer.backward(sequentially, x, dy, tape, expected_dx, expected);
  for_each_executor(5, [&](const any_executor& executor) {
    for (const hg::index tokens : {1, 3, 40, 90}) {
      layer.forward(executor, x.bottomRows(tokens), y, memory);
      CHECK(same_matrix(y, alone.bottomRows(tokens)));
    }
    auto grads = layer.zero_gradients();
    layer.forward(executor, x, y, tape);
    layer.backward(executor, x, dy, tape, dx, grads);
    CHECK(same_matrix(dx, expected_dx));
    CHECK(same_parameters(grads, expected));
  });
}

}  // namespace

TEST_CASE("a weight on the input reaches the expert's nonlinearity", "[layer][weight_on]") {
  const hg::layer layer{gate_of<double>(6, 4, 2), swiglu<double>{.model = 6, .hidden = 5}, 1, on_input};
  const hg::layer on_output{gate_of<double>(6, 4, 2), swiglu<double>{.model = 6, .hidden = 5}, 1};
  const auto x = random_matrix(9, 6, {1});
  decltype(layer)::workspace memory;
  hg::matrix<double> y, expected(9, 6);
  layer.forward(x, y, memory);
  hg::reference::moe_with_weighted_inputs<double>(
      hg::view_of(x), memory.routing.assignments, hg::view_of(expected),
      [&](hg::index e, const double* from, double* to) {
        typename swiglu<double>::cache cache;
        Eigen::Map<hg::matrix<double>> row(to, 1, 6);
        layer.expert().forward(layer.params().experts[e], Eigen::Map<const hg::matrix<double>>(from, 1, 6), row, cache);
      });
  CHECK((y - expected).cwiseAbs().maxCoeff() < 1e-14);
  CHECK((y - on_output(x)).cwiseAbs().maxCoeff() > 1e-3);
}

TEST_CASE("with linear experts it does not matter where the weight is applied", "[layer][weight_on]") {
  const hg::layer layer{gate_of<double>(6, 4, 2), linear<double>{.model = 6, .outputs = 3}, 1, on_input};
  hg::layer other = layer;
  other.options().weight_on = hg::weight_on::output;
  const auto x = random_matrix(9, 6, {1});
  CHECK((layer(x) - other(x)).cwiseAbs().maxCoeff() < 1e-14);
}

TEST_CASE("a layer with weights on the input has the right gradients", "[layer][weight_on][gradient]") {
  check_gradients(hg::layer{gate_of<double>(5, 4, 2), swiglu<double>{.model = 5, .hidden = 3}, 17, on_input},
                  hg::switch_balance<double>{.weight = 0.3});
  check_gradients(hg::layer{hg::sigmoid_gate<double>{.head = {.model = 5, .experts = 4}, .select = {.k = 1}},
                            swiglu<double>{.model = 5, .hidden = 3},
                            hg::ffn_expert<double, hg::gelu>{.model = 5, .hidden = 2}, 17, on_input});
  check_gradients(
      hg::layer{gate_of<double>(5, 4, 2), hg::frozen{linear<double>{.model = 5, .outputs = 3}}, 17, on_input});
}

TEST_CASE("a weight on an input that a capacity drops has no gradient and no share", "[layer][weight_on]") {
  hg::layer layer{gate_of<double>(5, 4, 2),
                  linear<double>{.model = 5, .outputs = 3},
                  1,
                  {.capacity = {.factor = 0.5}, .weight_on = hg::weight_on::input}};
  hg::layer other = layer;
  other.options().weight_on = hg::weight_on::output;
  const auto x = random_matrix(20, 5, {1}), dy = random_matrix(20, 3, {2});
  decltype(layer)::tape tape, other_tape;
  hg::matrix<double> y, other_y, dx, other_dx;
  auto grads = layer.zero_gradients(), other_grads = grads;
  layer.forward(x, y, tape);
  other.forward(x, other_y, other_tape);
  CHECK(tape.plan.dropped() > 0);
  CHECK((y - other_y).cwiseAbs().maxCoeff() < 1e-14);
  layer.backward(x, dy, tape, dx, grads);
  other.backward(x, dy, other_tape, other_dx, other_grads);
  CHECK((dx - other_dx).cwiseAbs().maxCoeff() < 1e-13);
  CHECK((grads.gate.head.weight - other_grads.gate.head.weight).cwiseAbs().maxCoeff() < 1e-13);
}

TEST_CASE("backward follows the forward on the tape, whatever the option says by then", "[layer][weight_on]") {
  hg::layer layer{gate_of<double>(5, 4, 2), swiglu<double>{.model = 5, .hidden = 3}, 1, on_input};
  const auto x = random_matrix(9, 5, {1}), dy = random_matrix(9, 5, {2});
  decltype(layer)::tape tape;
  hg::matrix<double> y, dx, again;
  auto grads = layer.zero_gradients(), more = grads;
  layer.forward(x, y, tape);
  layer.backward(x, dy, tape, dx, grads);
  layer.options().weight_on = hg::weight_on::output;
  layer.backward(x, dy, tape, again, more);
  CHECK(same_matrix(again, dx));
  CHECK(same_parameters(more, grads));
}

TEST_CASE("an unknown place for the weight is refused", "[layer][weight_on][misuse]") {
  const std::string said = "layer: weight_on is 7, it must be output (0) or input (1)";
  const auto unknown = static_cast<hg::weight_on>(7);
  CHECK(refusal([&] {
          hg::layer{gate_of<float>(5, 4, 2), linear<float>{.model = 5, .outputs = 3}, 1, {.weight_on = unknown}};
        }) == said);
  hg::layer layer{gate_of<float>(5, 4, 2), linear<float>{.model = 5, .outputs = 3}, 1};
  layer.options().weight_on = unknown;
  CHECK(refusal([&] { static_cast<void>(layer(random_matrix<float>(3, 5, {1}))); }) == said);
}

TEST_CASE("a layer holds parameters for the experts that have some, and routes to all", "[layer][with_free_experts]") {
  const hg::layer layer{gate_of<double>(6, 7, 7), with_free<double>(6, 5), 1};
  CHECK(layer.experts() == 7);
  CHECK(layer.params().experts.size() == 4);
  std::string names;
  layer.for_each_tensor([&](std::string_view name, const auto&) { names = name; });
  CHECK(names == "experts.3.down_bias");
  const auto x = random_matrix(9, 6, {1});
  decltype(layer)::workspace memory;
  hg::matrix<double> y, expected(9, 6);
  layer.forward(x, y, memory);
  const auto load = memory.routing.load();
  CHECK(load.size() == 7);
  CHECK(load[6] == 9);
  hg::reference::moe<double>(hg::view_of(x), memory.routing.assignments, hg::view_of(expected),
                             [&](hg::index e, const double* from, double* to) {
                               const Eigen::Map<const hg::matrix<double>> in(from, 1, 6);
                               Eigen::Map<hg::matrix<double>> out(to, 1, 6);
                               if (e == 6) {
                                 out.setZero();
                               } else if (e >= 4) {
                                 out = in;
                               } else {
                                 swiglu<double>::cache cache;
                                 layer.expert().expert.forward(layer.params().experts[e], in, out, cache);
                               }
                             });
  CHECK((y - expected).cwiseAbs().maxCoeff() < 1e-14);
}

TEST_CASE("a layer with identity and zero experts has the right gradients", "[layer][with_free_experts][gradient]") {
  const hg::switch_balance<double> loss{.weight = 0.3};
  check_gradients(hg::layer{gate_of<double>(5, 7, 3), with_free<double>(5, 3), 17}, loss);
  check_gradients(hg::layer{gate_of<double>(5, 7, 7), with_free<double>(5, 3), 17, on_input}, loss);
  check_gradients(hg::layer{gate_of<double>(5, 7, 3), hg::frozen{with_free<double>(5, 3)},
                            hg::constant_expert<double>{.model = 5, .outputs = 5}, 17});
}

TEST_CASE("a batch that only experts without parameters see has no gradient for the others",
          "[layer][with_free_experts]") {
  hg::layer layer{gate_of<double>(5, 7, 1), with_free<double>(5, 3), 17};
  layer.params().gate.head.weight.setZero();
  layer.params().gate.head.weight.row(5).setOnes();
  const hg::matrix<double> x = random_matrix(6, 5, {1}).cwiseAbs();
  decltype(layer)::tape tape;
  hg::matrix<double> y, dx;
  auto grads = layer.zero_gradients();
  layer.forward(x, y, tape);
  layer.backward(x, x, tape, dx, grads);
  for (hg::index t = 0; t < 6; ++t)
    CHECK((y.row(t) - tape.routing.assignments[t].weight * x.row(t)).cwiseAbs().maxCoeff() < 1e-15);
  for (const auto& d : grads.experts) CHECK((d.gate.isZero(0) && d.down.isZero(0) && d.up_bias.isZero(0)));
  CHECK_FALSE(grads.gate.head.weight.isZero(0));
}

TEST_CASE("a layer refuses experts of which none has parameters, and another number of experts",
          "[layer][with_free_experts][misuse]") {
  CHECK(refusal([] {
          hg::layer{gate_of<double>(5, 3, 1), with_free<double>(5, 3), 1};
        }) == "layer: of its 3 experts 3 have no parameters, at least one must have some");
  hg::layer layer{gate_of<double>(5, 7, 1), with_free<double>(5, 3), 1};
  layer.gate().head.experts = 8;
  CHECK(refusal([&] { static_cast<void>(layer(random_matrix(3, 5, {1}))); }) ==
        "layer: the gate now says experts = 8, the layer was built for 7");
}

TEST_CASE("gated and constant shared experts have the right gradients", "[layer][gradient]") {
  const swiglu<double> expert{.model = 5, .hidden = 3};
  check_gradients(hg::layer{gate_of<double>(5, 4, 2), expert, hg::sigmoid_gated{expert}, 17});
  check_gradients(hg::layer{gate_of<double>(5, 4, 2), hg::sigmoid_gated{expert}, hg::frozen{expert}, 17});
  check_gradients(hg::layer{gate_of<double>(5, 4, 2), linear<double>{.model = 5, .outputs = 3},
                            hg::constant_expert<double>{.model = 5, .outputs = 3}, 17});
  check_gradients(hg::layer{gate_of<double>(5, 4, 2), hg::constant_expert<double>{.model = 5, .outputs = 3}, 17});
  check_gradients(
      hg::layer{gate_of<double>(5, 4, 2), hg::clamped_swiglu_expert<double>{.model = 5, .hidden = 3}, 17, on_input});
}

TEST_CASE("a constant shared expert is added once to every token, routed or not", "[layer][constant]") {
  hg::layer layer{gate_of<double>(5, 4, 2), linear<double>{.model = 5, .outputs = 3},
                  hg::constant_expert<double>{.model = 5, .outputs = 3}, 17};
  const auto x = random_matrix(9, 5, {1});
  const auto y = layer(x);
  layer.params().shared.bias << 1, 2, 3;
  hg::matrix<double> expected = y;
  expected.rowwise() += layer.params().shared.bias.row(0);
  CHECK((layer(x) - expected).cwiseAbs().maxCoeff() < 1e-14);
}

TEMPLATE_TEST_CASE("layers of these have the same bits in any batch and with any number of threads", "[layer][bits]",
                   float, double) {
  using T = TestType;
  const swiglu<T> expert{.model = 37, .hidden = 50};
  check_bits(hg::layer{gate_of<T>(37, 5, 2), expert, hg::sigmoid_gated{expert}, 1, on_input});
  check_bits(
      hg::layer{gate_of<T>(37, 7, 3), with_free<T>(37, 50), hg::constant_expert<T>{.model = 37, .outputs = 37}, 2});
  check_bits(hg::layer{gate_of<T>(37, 7, 3), with_free<T>(37, 50), 3, on_input});
  check_bits(hg::layer{gate_of<T>(37, 5, 2), hg::clamped_swiglu_expert<T>{.model = 37, .hidden = 50}, 4});
}
