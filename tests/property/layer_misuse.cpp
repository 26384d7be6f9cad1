// SPDX-License-Identifier: BSD-3-Clause
// Bad input to a layer: one clear sentence, and nothing has changed.
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/losses/switch_balance.hpp>

#include "support/layer_checks.hpp"

using namespace headgate_test;

namespace {

using swiglu_layer = hg::layer<hg::topk_gate<float>, hg::swiglu_expert<float>>;
using linear_layer = hg::layer<hg::topk_gate<float>, hg::linear_expert<float>>;

swiglu_layer make(hg::index experts = 4, hg::index hidden = 5) {
  return {hg::topk_gate<float>{.head = {.model = 6, .experts = experts}, .select = {.k = 2}},
          hg::swiglu_expert<float>{.model = 6, .hidden = hidden}, 3};
}

/// A selection that is wrong.
struct fifth_expert {
  hg::index operator()(const float*, hg::index, hg::index* ids) const {
    ids[0] = 4;
    return 1;
  }
};

/// A layer, a tape with a forward on it, and all that a refused call must leave alone.
struct setting {
  swiglu_layer layer = make();
  swiglu_layer::tape tape;
  swiglu_layer::gradients grads = layer.zero_gradients();
  hg::matrix<float> x = random_matrix<float>(7, 6, {1}), dy = random_matrix<float>(7, 6, {2});
  hg::matrix<float> y, dx = random_matrix<float>(7, 6, {3});

  setting() {
    layer.forward(x, y, tape);
    layer.backward(x, dy, tape, dx, grads);
  }

  /// What backward says, having checked that it changed nothing.
  template <class... Arguments>
  std::string refused_backward(Arguments&&... arguments) {
    const auto grads_before = grads;
    const auto params_before = layer.params();
    const auto dx_before = dx;
    const auto said = refusal([&] { layer.backward(arguments...); });
    CHECK(same_parameters(grads, grads_before));
    CHECK(same_parameters(layer.params(), params_before));
    CHECK(same_matrix(dx, dx_before));
    return said;
  }
  /// What both kinds of forward say, having checked that neither changed y or the parameters, and that the tape holds
  /// no forward any more.
  template <class X>
  std::string refused_forward(const X& bad) {
    const auto params_before = layer.params();
    const auto y_before = y;
    const auto random_before = tape.random.step;
    swiglu_layer::workspace memory;
    const auto said = refusal([&] { layer.forward(bad, y, memory); });
    CHECK(refusal([&] { layer.forward(bad, y, tape); }) == said);
    CHECK(same_parameters(layer.params(), params_before));
    CHECK(same_matrix(y, y_before));
    CHECK(tape.random.step == random_before);
    CHECK(refused_backward(x, dy, tape, dx, grads) ==
          "layer::backward: the tape holds no forward pass, call forward with it first");
    return said;
  }
};

}  // namespace

TEST_CASE("x of another width is refused with both numbers", "[layer][misuse]") {
  setting s;
  CHECK(s.refused_forward(random_matrix<float>(7, 5, {1})) ==
        "layer::forward: x has 5 columns, the layer was built for model = 6");
}

TEST_CASE("NaN and infinity in x are refused with their place", "[layer][misuse]") {
  for (const hg::index row : {0, 6})
    for (const hg::index column : {0, 5}) {
      setting s;
      for (const float bad : {not_a_number<float>, infinity<float>, -infinity<float>}) {
        auto x = s.x;
        x(row, column) = bad;
        CHECK(s.refused_forward(x) == hg::sentence("layer::forward: x holds ", bad, " at row ", row, ", column ",
                                                   column, ", values must be finite"));
      }
    }
}

TEST_CASE("a value out of the rows of a strided block does not count", "[layer][misuse]") {
  setting s;
  hg::matrix<float> wide = hg::matrix<float>::Constant(7, 9, not_a_number<float>);
  wide.middleCols(1, 6) = s.x;
  CHECK(same_matrix(s.layer(wide.middleCols(1, 6)), s.layer(s.x)));
}

TEST_CASE("finite x whose logits overflow are refused with token and expert", "[layer][misuse]") {
  setting s;
  hg::matrix<float> x = s.x;
  x.row(4).setConstant(3e38f);
  s.layer.params().gate.head.weight.row(2).setConstant(2.0f);
  CHECK_THAT(s.refused_forward(x), contains("token 4 for expert 2 is inf, logits must be finite"));
}

TEST_CASE("y of another size that cannot be resized is refused, and nothing is written", "[layer][misuse]") {
  setting s;
  hg::matrix<float> memory = random_matrix<float>(9, 8, {4});
  const auto before = memory;
  swiglu_layer::workspace workspace;
  CHECK(refusal([&] { s.layer.forward(s.x, memory.topLeftCorner(6, 6), workspace); }) ==
        "layer::forward: y is 6 x 6, it must be 7 x 6");
  CHECK(refusal([&] { s.layer.forward(s.x, memory.topLeftCorner(7, 5), s.tape); }) ==
        "layer::forward: y is 7 x 5, it must be 7 x 6");
  CHECK(same_matrix(memory, before));
  Eigen::Matrix<float, Eigen::Dynamic, 5, Eigen::RowMajor> five(7, 5);
  CHECK(refusal([&] { s.layer.forward(s.x, five, workspace); }) == "layer::forward: y is 7 x 5, it must be 7 x 6");
}

TEST_CASE("outputs that share memory with inputs are refused", "[layer][misuse]") {
  setting s;
  const auto before = s.x;
  CHECK_THAT(refusal([&] { s.layer.forward(s.x, s.x, s.tape); }), contains("x and y share memory"));
  CHECK(same_matrix(s.x, before));
  s.layer.forward(s.x, s.y, s.tape);
  CHECK_THAT(s.refused_backward(s.x, s.dx, s.tape, s.dx, s.grads), contains("dx and dy share memory"));
  CHECK_THAT(s.refused_backward(s.dx, s.dy, s.tape, s.dx, s.grads), contains("dx and x share memory"));
  // Where y had to be resized, too.
  const linear_layer wide{hg::topk_gate<float>{.head = {.model = 6, .experts = 4}, .select = {.k = 2}},
                          hg::linear_expert<float>{.model = 6, .outputs = 600}, 3};
  linear_layer::workspace memory;
  CHECK_THAT(refusal([&] { wide.forward(s.x, s.x, memory); }), contains("x and y share memory"));
  CHECK(same_matrix(s.x, before));
}

TEST_CASE("columns side by side in one matrix do not share memory", "[layer][misuse]") {
  setting s;
  hg::matrix<float> both(7, 13);
  both.leftCols(6) = s.x;
  swiglu_layer::workspace memory;
  s.layer.forward(both.leftCols(6), both.rightCols(6), memory);
  CHECK(same_matrix(both.rightCols(6), s.layer(s.x)));
  CHECK_THAT(refusal([&] { s.layer.forward(both.leftCols(6), both.middleCols(5, 6), memory); }),
             contains("share memory"));
  CHECK_THAT(refusal([&] { s.layer.forward(both.rightCols(6), both.middleCols(2, 6), memory); }),
             contains("share memory"));
}

TEST_CASE("a tape without a forward, or after a refused one, cannot go backward", "[layer][misuse]") {
  setting s;
  swiglu_layer::tape fresh;
  CHECK(s.refused_backward(s.x, s.dy, fresh, s.dx, s.grads) ==
        "layer::backward: the tape holds no forward pass, call forward with it first");
  hg::matrix<float> bad = s.x;
  bad(2, 2) = not_a_number<float>;
  CHECK_FALSE(s.refused_forward(bad).empty());
  s.layer.forward(s.x, s.y, s.tape);
  CHECK(refusal([&] { s.layer.backward(s.x, s.dy, s.tape, s.dx, s.grads); }).empty());
}

TEST_CASE("NaN and infinity in dy are refused with their place", "[layer][misuse]") {
  setting s;
  for (const hg::index row : {0, 6})
    for (const hg::index column : {0, 5})
      for (const float bad : {not_a_number<float>, infinity<float>, -infinity<float>}) {
        auto dy = s.dy;
        dy(row, column) = bad;
        CHECK(s.refused_backward(s.x, dy, s.tape, s.dx, s.grads) == hg::sentence("layer::backward: dy holds ", bad,
                                                                                 " at row ", row, ", column ", column,
                                                                                 ", values must be finite"));
      }
  CHECK(refusal([&] { s.layer.backward(s.x, s.dy, s.tape, s.dx, s.grads); }).empty());
}

TEST_CASE("a size that was changed through gate() is refused with both numbers", "[layer][misuse]") {
  const auto check = [](const auto& change, const std::string& sentence) {
    setting s;
    const auto gate_before = s.layer.gate();
    const auto y_before = s.y;
    swiglu_layer::workspace memory;
    change(s.layer.gate().head);
    CHECK(s.refused_backward(s.x, s.dy, s.tape, s.dx, s.grads) == sentence);
    CHECK(refusal([&] { s.layer.forward(s.x, s.y, memory); }) == sentence);
    CHECK(refusal([&] { s.layer.forward(s.x, s.y, s.tape); }) == sentence);
    CHECK(same_matrix(s.y, y_before));
    s.layer.gate() = gate_before;
    CHECK(same_matrix(s.layer(s.x), y_before));
  };
  check([](auto& head) { head.experts = 6; }, "layer: the gate now says experts = 6, the layer was built for 4");
  check([](auto& head) { head.experts = 3; }, "layer: the gate now says experts = 3, the layer was built for 4");
  check([](auto& head) { head.model = 7; }, "layer: the gate now says model = 7, the layer was built for 6");
  check([](auto& head) { head.model = 5; }, "layer: the gate now says model = 5, the layer was built for 6");
}

TEST_CASE("a user's selection of experts that do not exist is refused before y is written", "[layer][misuse]") {
  const hg::layer layer{
      hg::gate{hg::linear_head<float>{.model = 6, .experts = 4}, hg::softmax{}, fifth_expert{}, hg::renormalised{}},
      hg::linear_expert<float>{.model = 6, .outputs = 6}, 3};
  decltype(layer)::workspace memory;
  auto y = random_matrix<float>(7, 6, {1});
  const auto before = y;
  CHECK(refusal([&] { layer.forward(random_matrix<float>(7, 6, {2}), y, memory); }) ==
        "gate::route: the selection names expert 4 for token 0, the gate has 4");
  CHECK(same_matrix(y, before));
}

TEST_CASE("a tape of another batch is refused with both sizes", "[layer][misuse]") {
  setting s;
  CHECK(s.refused_backward(s.x.topRows(5), s.dy.topRows(5), s.tape, s.dx, s.grads) ==
        "layer::backward: x is 5 x 6, the tape was recorded with 7 x 6");
  CHECK(s.refused_backward(s.x.leftCols(5), s.dy, s.tape, s.dx, s.grads) ==
        "layer::backward: x is 7 x 5, the tape was recorded with 7 x 6");
  CHECK(s.refused_backward(s.x, s.dy.topRows(6), s.tape, s.dx, s.grads) ==
        "layer::backward: dy is 6 x 6, it must be 7 x 6");
  CHECK(s.refused_backward(s.x, s.dy.leftCols(4), s.tape, s.dx, s.grads) ==
        "layer::backward: dy is 7 x 4, it must be 7 x 6");
  hg::matrix<float> memory = random_matrix<float>(9, 9, {4});
  CHECK(s.refused_backward(s.x, s.dy, s.tape, memory.topLeftCorner(7, 7), s.grads) ==
        "layer::backward: dx is 7 x 7, it must be 7 x 6");
}

TEST_CASE("a tape that a layer of other sizes recorded is refused", "[layer][misuse]") {
  setting s;
  for (const auto& other : {make(5, 5), make(4, 3), make(4, 50)}) {
    swiglu_layer::tape foreign;
    other.forward(s.x, s.y, foreign);
    CHECK_THAT(s.refused_backward(s.x, s.dy, foreign, s.dx, s.grads), contains("recorded by a layer of other sizes"));
  }
}

TEST_CASE("gradients of another layer are refused with the name and both shapes", "[layer][misuse]") {
  setting s;
  auto fewer = make(3, 5).zero_gradients();
  CHECK(s.refused_backward(s.x, s.dy, s.tape, s.dx, fewer) ==
        "layer::backward: the gradients are for 3 experts, the layer has 4; make them with zero_gradients()");
  auto narrow = make(4, 3).zero_gradients();
  CHECK(s.refused_backward(s.x, s.dy, s.tape, s.dx, narrow) ==
        "layer::backward: the gradient of experts.0.gate is 3 x 6, the parameter is 5 x 6; make gradients with "
        "zero_gradients()");
  swiglu_layer::gradients empty;
  CHECK_FALSE(s.refused_backward(s.x, s.dy, s.tape, s.dx, empty).empty());
}

TEST_CASE("a loss that refuses the record stops backward before it writes", "[layer][misuse]") {
  setting s;
  const bool mask[3] = {true, true, false};
  CHECK_FALSE(s.refused_backward(s.x, s.dy, s.tape, s.dx, s.grads, hg::switch_balance<float>{.mask = mask}).empty());
}

TEST_CASE("a layer refuses sizes and options that make no sense, with the numbers", "[layer][misuse]") {
  const auto said = [](hg::index model, hg::index experts, hg::index k, hg::index expert_model = 6,
                       hg::capacity c = {}) {
    return refusal([&] {
      hg::layer{hg::topk_gate<float>{.head = {.model = model, .experts = experts}, .select = {.k = k}},
                hg::linear_expert<float>{.model = expert_model, .outputs = 2}, 1, hg::layer_options{.capacity = c}};
    });
  };
  CHECK(said(6, 4, 2).empty());
  CHECK(said(0, 4, 2) == "layer: model is 0, it must be at least 1");
  CHECK(said(6, 0, 2) == "layer: experts is 0, it must be at least 1");
  CHECK(said(6, -3, 2) == "layer: experts is -3, it must be at least 1");
  CHECK(said(6, 4, 5) == "top_k: k is 5, the gate has 4 experts");
  CHECK(said(6, 4, 0) == "top_k: k is 0, it must be at least 1");
  CHECK(said(6, 4, 2, 7) == "layer: the expert was built for model = 7, the gate for model = 6");
  CHECK(said(6, 4, 2, 6, {.factor = 0}) == "capacity: factor is 0, it must be greater than 0");
  for (const float bad : {0.0f, -1.0f, not_a_number<float>})
    CHECK(refusal([&] {
            hg::layer{hg::temperature_gate<float>{.head = {.model = 6, .experts = 4}, .score = {.temperature = bad}},
                      hg::linear_expert<float>{.model = 6, .outputs = 2}, 1};
          }) == hg::sentence("softmax_at: temperature is ", bad, ", it must be greater than 0"));
}
