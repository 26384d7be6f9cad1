// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

#include "support/layer_checks.hpp"

#include <memory>
#include <type_traits>
#include <utility>

using namespace headgate_test;

namespace {

using ffn_layer = hg::layer<hg::topk_gate<float>, hg::ffn_expert<float>>;

static_assert(std::is_nothrow_move_constructible_v<ffn_layer>);
static_assert(std::is_copy_constructible_v<ffn_layer> && std::is_copy_assignable_v<ffn_layer>);
static_assert(std::is_empty_v<hg::topk_gate<float, 16, 4, 1>> &&
              std::is_empty_v<hg::ffn_expert<float, hg::relu, 16, 32>>);

ffn_layer make(std::uint64_t seed = 3) {
  return {hg::topk_gate<float>{.head = {.model = 6, .experts = 2}, .select = {.k = 1}},
          hg::ffn_expert<float>{.model = 6, .hidden = 5}, seed};
}

/// Output, dx and gradients of one step with the layer's own tape.
template <class Layer>
auto step(const Layer& layer, typename Layer::tape& tape, const hg::matrix<float>& x, const hg::matrix<float>& dy) {
  hg::matrix<float> y, dx;
  auto grads = layer.zero_gradients();
  layer.forward(x, y, tape);
  layer.backward(x, dy, tape, dx, grads);
  return std::tuple{y, dx, grads};
}

}  // namespace

TEST_CASE("parameters have dotted names in a fixed order", "[layer]") {
  hg::layer layer{hg::gumbel_gate<float>{.head = {.model = 6, .experts = 2}},
                  hg::ffn_expert<float>{.model = 6, .hidden = 5}, hg::linear_expert<float>{.model = 6, .outputs = 6},
                  3};
  std::string trained, stored;
  auto grads = layer.zero_gradients();
  layer.for_each_parameter(grads, [&](std::string_view name, auto& w, const auto& dw) {
    trained += std::string(name) + " ";
    CHECK((w.rows() == dw.rows() && w.cols() == dw.cols() && dw.isZero(0)));
  });
  std::as_const(layer).for_each_tensor([&](std::string_view name, const auto&) { stored += std::string(name) + " "; });
  CHECK(trained == "gate.weight gate.bias experts.0.up experts.0.down experts.1.up experts.1.down shared.weight ");
  CHECK(stored == trained);
}

TEST_CASE("buffers are stored and not trained", "[layer]") {
  hg::layer layer{hg::balanced_sigmoid_gate<float>{.head = {.model = 6, .experts = 2}, .select = {.k = 1}},
                  hg::linear_expert<float>{.model = 6, .outputs = 2}, 3};
  std::string trained, stored;
  auto grads = layer.zero_gradients();
  layer.for_each_parameter(grads,
                           [&](std::string_view name, auto&, const auto&) { trained += std::string(name) + " "; });
  layer.for_each_tensor([&](std::string_view name, auto&) { stored += std::string(name) + " "; });
  CHECK(trained == "gate.weight experts.0.weight experts.1.weight ");
  CHECK(stored == "gate.weight gate.selection_bias experts.0.weight experts.1.weight ");
}

TEST_CASE("a layer tells its sizes", "[layer]") {
  const hg::layer layer{hg::topk_gate<float>{.head = {.model = 6, .experts = 3}, .select = {.k = 1}},
                        hg::linear_expert<float>{.model = 6, .outputs = 4}, 3};
  CHECK((layer.model() == 6 && layer.outputs() == 4 && layer.experts() == 3));
  CHECK(layer(random_matrix<float>(5, 6, {1})).cols() == 4);
}

TEST_CASE("the seed decides the parameters, the same on every platform", "[layer]") {
  CHECK(same_parameters(make(3).params(), make(3).params()));
  CHECK_FALSE(same_parameters(make(3).params(), make(4).params()));
  const hg::layer layer = make(42);
  std::mt19937_64 generator(42);  // the standard fixes its numbers: gate first, then the experts in order
  const float scale = 1 / std::sqrt(6.0f);
  CHECK(same_matrix(layer.params().gate.head.weight, hg::randn<float>(2, 6, generator, scale)));
  CHECK(same_matrix(layer.params().experts[0].up, hg::randn<float>(5, 6, generator, scale)));
}

TEST_CASE("maps and blocks of larger matrices are read and written where they are", "[layer]") {
  const hg::layer layer = make();
  const auto x = random_matrix<float>(7, 6, {1});
  const auto expected = layer(x);
  hg::matrix<float> wide = random_matrix<float>(9, 11, {2}), target = random_matrix<float>(9, 13, {3});
  wide.block(1, 2, 7, 6) = x;
  const auto before = target;
  ffn_layer::workspace memory;
  layer.forward(wide.block(1, 2, 7, 6), target.block(2, 4, 7, 6), memory);
  CHECK(same_matrix(target.block(2, 4, 7, 6), expected));
  target.block(2, 4, 7, 6) = before.block(2, 4, 7, 6);
  CHECK(same_matrix(target, before));

  std::vector<float> raw(static_cast<std::size_t>(7 * 8));
  Eigen::Map<hg::matrix<float>, 0, Eigen::OuterStride<>> map(raw.data(), 7, 6, Eigen::OuterStride<>(8));
  map = x;
  CHECK(same_matrix(layer(map), expected));
  CHECK(same_matrix(layer(Eigen::Ref<const hg::matrix<float>, 0, Eigen::OuterStride<>>(map)), expected));
  Eigen::Matrix<float, 7, 6, Eigen::RowMajor> fixed = x, fixed_y;
  layer.forward(fixed, fixed_y, memory);
  CHECK(same_matrix(fixed_y, expected));
  Eigen::RowVectorXf row = x.row(3), row_y;
  layer.forward(row, row_y, memory);
  CHECK(same_matrix(row_y, expected.row(3)));
}

TEST_CASE("strided gradients are read and written where they are", "[layer]") {
  const hg::layer layer = make();
  const auto x = random_matrix<float>(7, 6, {1}), dy = random_matrix<float>(7, 6, {2});
  ffn_layer::tape tape;
  const auto [y, dx, grads] = step(layer, tape, x, dy);
  hg::matrix<float> wide = random_matrix<float>(7, 20, {3});
  const auto before = wide;
  wide.middleCols(1, 6) = dy;
  auto again = layer.zero_gradients();
  layer.backward(x, wide.middleCols(1, 6), tape, wide.middleCols(8, 6), again);
  CHECK(same_matrix(wide.middleCols(8, 6), dx));
  CHECK(same_parameters(again, grads));
  CHECK((same_matrix(wide.leftCols(1), before.leftCols(1)) && same_matrix(wide.rightCols(6), before.rightCols(6))));
}

TEST_CASE("backward overwrites dx, adds to the gradients, and may be repeated", "[layer]") {
  const hg::layer layer = make();
  const auto x = random_matrix<float>(7, 6, {1}), dy = random_matrix<float>(7, 6, {2});
  ffn_layer::tape tape;
  const auto [y, dx, once] = step(layer, tape, x, dy);
  auto twice = once;
  hg::matrix<float> other = random_matrix<float>(7, 6, {5});
  layer.backward(x, dy, tape, other, twice);
  CHECK(same_matrix(other, dx));
  ffn_layer::parameters::walk<hg::fields_of::storage>(
      [](std::string_view, const auto& one, const auto& two) { CHECK((two - 2 * one).norm() <= 1e-5f * one.norm()); },
      once, twice);
  ffn_layer::set_zero(twice);
  CHECK(same_parameters(twice, layer.zero_gradients()));
}

TEST_CASE("copies compute the same bits and are independent, and a moved layer and tape go on", "[layer]") {
  hg::layer original = make();
  const auto x = random_matrix<float>(7, 6, {1}), dy = random_matrix<float>(7, 6, {2});
  const auto expected = original(x);
  hg::layer copy = original;
  CHECK(same_matrix(copy(x), expected));
  copy.params().experts[0].up *= 2.0f;
  copy.params().gate.head.weight.setZero();
  CHECK(same_matrix(original(x), expected));
  copy = original;
  CHECK(same_matrix(copy(x), expected));

  ffn_layer::tape tape;
  const auto [y, dx, grads] = step(original, tape, x, dy);
  const hg::layer moved = std::move(original);
  ffn_layer::tape copied_tape = tape, moved_tape = std::move(tape);
  for (auto* t : {&copied_tape, &moved_tape}) {
    hg::matrix<float> again;
    auto more = moved.zero_gradients();
    moved.backward(x, dy, *t, again, more);
    CHECK(same_matrix(again, dx));
    CHECK(same_parameters(more, grads));
  }
}

TEST_CASE("noise follows the tape's stream, moves on after each training pass, and can be repeated", "[layer]") {
  const hg::layer layer{hg::noisy_topk_gate<float>{.head = {.model = 6, .experts = 4}, .select = {.k = 2}},
                        hg::linear_expert<float>{.model = 6, .outputs = 3}, 1};
  const auto x = random_matrix<float>(9, 6, {1});
  decltype(layer)::tape tape;
  hg::matrix<float> first, second, again;
  layer.forward(x, first, tape);
  CHECK(tape.random.step == 1);
  layer.forward(x, second, tape);
  CHECK_FALSE(same_matrix(first, second));
  tape.random = {0, 0};
  layer.forward(x, again, tape);
  CHECK(same_matrix(again, first));
  tape.training = false;
  const auto step = tape.random.step;
  layer.forward(x, again, tape);
  CHECK(tape.random.step == step);
}

TEST_CASE("options of the policies may change between passes", "[layer]") {
  hg::layer layer{hg::temperature_gate<float>{.head = {.model = 6, .experts = 4}},
                  hg::linear_expert<float>{.model = 6, .outputs = 3}, 1};
  const auto x = random_matrix<float>(9, 6, {1});
  const auto warm = layer(x);
  layer.gate().score.temperature = 0.1f;
  CHECK_FALSE(same_matrix(layer(x), warm));
  layer.gate().score.temperature = 1.0f;
  CHECK(same_matrix(layer(x), warm));
  layer.options().capacity.factor = 0;
  CHECK(refusal([&] { static_cast<void>(layer(x)); }) == "capacity: factor is 0, it must be greater than 0");
}

TEST_CASE("a layer of ready parameters takes them as they are, borrowed ones where they lie", "[layer]") {
  const hg::layer drawn = make(3);
  const auto x = random_matrix<float>(7, 6, {1}), dy = random_matrix<float>(7, 6, {2});
  auto ready = drawn.params();
  auto memory = std::make_shared<hg::matrix<float>>(ready.experts[1].up);
  ready.experts[1].up = hg::weights<float>::borrow(memory->data(), 5, 6, memory);
  const float* const owned = ready.experts[0].up.data();
  hg::layer layer{drawn.gate(), drawn.expert(), std::move(ready)};
  static_assert(std::is_same_v<decltype(layer), ffn_layer>);
  CHECK(layer.params().experts[0].up.data() == owned);
  CHECK(layer.params().experts[1].up.data() == memory->data());
  CHECK(same_parameters(layer.params(), drawn.params()));
  CHECK(same_matrix(layer(x), drawn(x)));

  ffn_layer::tape tape, other;  // tapes of layers of one size are the same
  auto [y, dx, grads] = step(layer, tape, x, dy);
  CHECK(same_parameters(grads, std::get<2>(step(drawn, other, x, dy))));
  CHECK(grads.experts[1].up.owns());
  layer.params().experts[1].up -= 0.5f * grads.experts[1].up;
  CHECK(same_matrix(*memory, layer.params().experts[1].up));
  const hg::layer copy = layer;
  CHECK(copy.params().experts[1].up.owns());
  hg::layer moved = std::move(layer);
  CHECK(moved.params().experts[1].up.data() == memory->data());
  moved = drawn;  // in place
  CHECK(same_matrix(*memory, drawn.params().experts[1].up));
}

TEST_CASE("a layer of ready parameters may have a shared expert and options", "[layer]") {
  const hg::layer drawn{hg::topk_gate<float>{.head = {.model = 6, .experts = 2}, .select = {.k = 1}},
                        hg::ffn_expert<float>{.model = 6, .hidden = 5},
                        hg::linear_expert<float>{.model = 6, .outputs = 6}, 3};
  const hg::layer_options options{.capacity = {.factor = 1.5}};
  const hg::layer layer{drawn.gate(), drawn.expert(), drawn.shared(), drawn.params()};
  const hg::layer limited{drawn.gate(), drawn.expert(), drawn.shared(), drawn.params(), options};
  const hg::layer alone{make().gate(), make().expert(), make().params(), options};
  static_assert(std::is_same_v<decltype(layer), decltype(drawn)> && std::is_same_v<decltype(limited), decltype(drawn)>);
  static_assert(std::is_same_v<decltype(alone), const ffn_layer>);
  const auto x = random_matrix<float>(7, 6, {1});
  CHECK(same_matrix(layer(x), drawn(x)));
  CHECK(limited.options().capacity.factor == 1.5);
  CHECK(alone.options().capacity.factor == 1.5);
}

TEST_CASE("a layer refuses ready parameters that do not fit its policies", "[layer]") {
  const hg::layer drawn = make();
  const auto refusal_of = [&](auto change) {
    auto ready = drawn.params();
    change(ready);
    return refusal([&] { ffn_layer(drawn.gate(), drawn.expert(), ready); });
  };
  CHECK(refusal_of([](auto&) {}).empty());
  CHECK(refusal_of([](auto& p) { p.experts.resize(3); }) ==
        "layer: the parameters are of 3 experts, the gate says experts = 2");
  CHECK(refusal_of([](auto& p) { p.gate.head.weight.resize(2, 5); }) ==
        "layer: the parameter gate.weight is 2 x 5, the gate asks for 2 x 6");
  CHECK(refusal_of([](auto& p) { p.experts[0].down.resize(6, 4); }) == "ffn_expert: down is 6 x 4, it must be 6 x 5");
  CHECK(refusal_of([](auto& p) { p.experts[1].up.resize(6, 5); }) ==
        "layer: the parameter experts.1.up is 6 x 5, that of expert 0 is 5 x 6");
}
