// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/dense_layer.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/lora.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include "support/layer_checks.hpp"

using namespace headgate_test;

namespace {

using linear = hg::linear_expert<double, hg::dynamic, hg::dynamic, hg::biases::used>;

/// Gradients of everything, in training with noise that repeats.
template <class Expert>
void check_gradients(hg::dense_layer<Expert> layer) {
  layer.for_each_tensor(disturb_all{{8}});
  CHECK(hg::testing::check_layer_gradients(layer, random_matrix(7, layer.model(), {1}), strict()));
}

}  // namespace

TEST_CASE("dense_layer has the right gradients", "[dense_layer]") {
  check_gradients(hg::dense_layer{linear{.model = 5, .outputs = 3}, 1});
  check_gradients(hg::dense_layer{hg::lora_expert<double>{.model = 5, .outputs = 3, .rank = 2, .dropout = 0.3}, 1});
}

TEST_CASE("dense_layer applies its expert to every token", "[dense_layer]") {
  const hg::dense_layer layer{linear{.model = 5, .outputs = 3}, 1};
  const auto x = random_matrix<double>(150, 5, {1});
  const auto y = layer(x);
  CHECK((y - x * layer.params().weight.transpose()).norm() < 1e-13);
  CHECK(layer(hg::matrix<double>(0, 5)).rows() == 0);
  for (const hg::index t : {0, 77, 149}) CHECK(same_matrix(layer(x.row(t)), y.row(t)));
}

TEST_CASE("dense_layer has the same bits with any number of threads", "[dense_layer]") {
  const hg::dense_layer layer{hg::ffn_expert<float>{.model = 40, .hidden = 90}, 1};
  const auto x = random_matrix<float>(200, 40, {1}), dy = random_matrix<float>(200, 40, {2});
  const auto run = [&](const auto& executor) {
    hg::matrix<float> y, dx;
    decltype(layer)::tape tape;
    auto grads = layer.zero_gradients();
    layer.forward(executor, x, y, tape);
    layer.backward(executor, x, dy, tape, dx, grads);
    return std::tuple{y, dx, grads.up, grads.down};
  };
  const auto [y, dx, up, down] = run(hg::run_sequentially);
  const auto [other_y, other_dx, other_up, other_down] = run(hg::thread_pool(3));
  CHECK((same_matrix(y, other_y) && same_matrix(dx, other_dx) && same_matrix(up, other_up) &&
         same_matrix(down, other_down)));
}

TEST_CASE("dense_layer's dropout follows the tape's stream, moves on in training, and can be repeated",
          "[dense_layer]") {
  hg::dense_layer layer{hg::lora_expert<double>{.model = 5, .outputs = 3, .rank = 2, .dropout = 0.4}, 1};
  layer.params().up.setOnes();
  const auto x = random_matrix<double>(7, 5, {1});
  decltype(layer)::tape tape;
  tape.random = {5, 3};
  hg::matrix<double> first, second, again;
  layer.forward(x, first, tape);
  CHECK((tape.used.seed == 5 && tape.used.step == 3 && tape.random.step == 4));
  layer.forward(x, second, tape);
  CHECK_FALSE(same_matrix(first, second));
  tape.random = {5, 3};
  layer.forward(x, again, tape);
  CHECK(same_matrix(again, first));
  tape.training = false;
  layer.forward(x, again, tape);
  CHECK(tape.random.step == 4);
  CHECK(same_matrix(again, layer(x)));
}

TEST_CASE("dense_layer names its parameters as its expert does", "[dense_layer]") {
  hg::dense_layer layer{linear{.model = 5, .outputs = 3}, 1};
  std::string names;
  auto grads = layer.zero_gradients();
  layer.for_each_parameter(grads, [&](std::string_view name, auto&, const auto&) { names += std::string(name) + " "; });
  CHECK(names == "weight bias ");
}

TEST_CASE("dense_layer refuses what does not fit, and changes nothing", "[dense_layer]") {
  using layer_type = hg::dense_layer<linear>;
  const layer_type layer{linear{.model = 5, .outputs = 3}, 1}, other{linear{.model = 5, .outputs = 4}, 1};
  auto x = random_matrix<double>(7, 5, {1});
  const auto dy = random_matrix<double>(7, 3, {2});
  hg::matrix<double> y = random_matrix<double>(2, 2, {3}), dx = random_matrix<double>(7, 5, {4});
  const auto y_before = y, dx_before = dx;
  layer_type::tape tape;
  auto grads = layer.zero_gradients();
  const auto forward = [&](const auto& input) { return refusal([&] { layer.forward(input, y, tape); }); };
  const auto backward = [&](const auto& a, const auto& b, auto& t, auto& g) {
    return refusal([&] { layer.backward(a, b, t, dx, g); });
  };
  CHECK(refusal([] {
          layer_type{linear{.model = 0, .outputs = 3}, 1};
        }) == "dense_layer: model is 0, it must be at least 1");
  CHECK(refusal([] {
          layer_type{linear{.model = 5, .outputs = 0}, 1};
        }) == "linear_expert: outputs is 0, it must be at least 1");
  CHECK(forward(random_matrix<double>(7, 4, {1})) ==
        "dense_layer::forward: x has 4 columns, the layer was built for model = 5");
  auto bad = x;
  bad(6, 4) = infinity<double>;
  CHECK(forward(bad) == "dense_layer::forward: x holds inf at row 6, column 4, values must be finite");
  CHECK_THAT(refusal([&] { layer.forward(x, x, tape); }), contains("x and y share memory"));
  CHECK(backward(x, dy, tape, grads) ==
        "dense_layer::backward: the tape holds no forward pass, call forward with it first");
  CHECK(same_matrix(y, y_before));
  layer.forward(x, y, tape);
  CHECK(backward(x.topRows(6), dy, tape, grads) ==
        "dense_layer::backward: x is 6 x 5, the tape was recorded with 7 x 5");
  CHECK(backward(x.leftCols(4), dy, tape, grads) ==
        "dense_layer::backward: x is 7 x 4, the tape was recorded with 7 x 5");
  CHECK(backward(x, dy.leftCols(2), tape, grads) == "dense_layer::backward: dy is 7 x 2, it must be 7 x 3");
  auto bad_dy = dy;
  bad_dy(3, 1) = -infinity<double>;
  CHECK(backward(x, bad_dy, tape, grads) ==
        "dense_layer::backward: dy holds -inf at row 3, column 1, values must be finite");
  bad_dy(3, 1) = not_a_number<double>;
  CHECK_THAT(backward(x, bad_dy, tape, grads), contains("nan at row 3, column 1, values must be finite"));
  auto foreign = other.zero_gradients();
  CHECK_THAT(backward(x, dy, tape, foreign), contains("the gradient of weight is 4 x 5, the parameter is 3 x 5"));
  layer_type::tape foreign_tape;
  hg::matrix<double> unused;
  other.forward(x, unused, foreign_tape);
  CHECK(backward(x, dy, foreign_tape, grads) ==
        "dense_layer::backward: the tape was recorded by a layer of other sizes");
  CHECK(same_matrix(dx, dx_before));
  CHECK((grads.weight.isZero(0) && grads.bias.isZero(0)));
  CHECK(backward(x, dy, tape, grads).empty());
}
