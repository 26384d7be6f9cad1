// SPDX-License-Identifier: BSD-3-Clause
// Promise 3: a token's output has the same bits in any batch, in any order and with any number of threads.
#include <headgate/activations/gelu.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/lora.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include "support/any_executor.hpp"
#include "support/layer_checks.hpp"

#include <thread>
#include <vector>

using namespace headgate_test;

namespace {

/// Random subsets of 200 tokens, 1 to 200 of them in random order: every output equals that of the token alone.
template <class Layer>
void check_bits(const Layer& layer) {
  using T = typename Layer::scalar;
  constexpr hg::index most = 200;
  const auto x = random_matrix<T>(most, layer.model(), {41});
  hg::matrix<T> alone(most, layer.outputs());
  typename Layer::workspace memory;
  const any_executor sequentially(hg::run_sequentially);
  for (hg::index t = 0; t < most; ++t) layer.forward(sequentially, x.row(t), alone.row(t), memory);

  numbers next(42);
  for (const hg::index tokens :
       {hg::index{1}, hg::index{2}, hg::index{7}, 1 + next.below(most), 1 + next.below(most), most}) {
    CAPTURE(tokens);
    hg::matrix<T> batch(tokens, layer.model()), expected(tokens, layer.outputs()), y;
    for (hg::index t = 0; t < tokens; ++t) {
      const hg::index from = next.below(most);
      batch.row(t) = x.row(from);
      expected.row(t) = alone.row(from);
    }
    for_each_executor(next.bits(), [&](const any_executor& executor) {
      layer.forward(executor, batch, y, memory);
      CHECK(same_matrix(y, expected));
    });
  }
}

/// Output, dx and all gradients of one training pass.
template <class Layer>
auto train_once(const Layer& layer, const any_executor& executor) {
  using T = typename Layer::scalar;
  struct result {
    hg::matrix<T> y, dx;
    typename Layer::gradients grads;
  } r{{}, {}, layer.zero_gradients()};
  const auto x = random_matrix<T>(150, layer.model(), {51}), dy = random_matrix<T>(150, layer.outputs(), {52});
  typename Layer::tape tape;
  tape.random = {3, 1};
  layer.forward(executor, x, r.y, tape);
  layer.backward(executor, x, dy, tape, r.dx, r.grads);
  return r;
}

template <class Layer>
void check_training_bits(const Layer& layer) {
  const auto alone = train_once(layer, hg::run_sequentially);
  for (std::uint64_t seed = 1; seed < 4; ++seed)
    for_each_executor(seed, [&](const any_executor& executor) {
      const auto r = train_once(layer, executor);
      CHECK(same_matrix(r.y, alone.y));
      CHECK(same_matrix(r.dx, alone.dx));
      CHECK(same_parameters(r.grads, alone.grads));
    });
}

template <class T>
hg::topk_gate<T> top_2() {
  return {.head = {.model = 37, .experts = 5}, .select = {.k = 2}};
}

}  // namespace

TEMPLATE_TEST_CASE(
    "a token has the same bits alone and in any batch, order and number of threads, shared expert included",
    "[layer][bits]", float, double) {
  using T = TestType;
  check_bits(hg::layer{top_2<T>(),
                       hg::swiglu_expert<T, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 37, .hidden = 91},
                       hg::ffn_expert<T, hg::gelu>{.model = 37, .hidden = 50}, 1});
}

TEMPLATE_TEST_CASE("a token has the same bits alone and in any batch, order and number of threads, with other gates",
                   "[layer][bits]", float, double) {
  using T = TestType;
  const hg::linear_expert<T> linear{.model = 37, .outputs = 21};
  check_bits(hg::layer{hg::softmax_gate<T>{.head = {.model = 37, .experts = 5}}, linear, 1});
  check_bits(hg::layer{hg::gumbel_gate<T>{.head = {.model = 37, .experts = 5}}, linear, 2});
  check_bits(hg::layer{hg::adamole_gate<T>{.head = {.model = 37, .experts = 5}}, linear, 3});
  check_bits(hg::layer{hg::top_p_gate<T>{.head = {.model = 37, .experts = 5}}, linear, 4});
  check_bits(
      hg::layer{hg::balanced_sigmoid_gate<T>{.head = {.model = 37, .experts = 5}, .select = {.k = 3}}, linear, 5});
  check_bits(hg::layer{hg::activation_dense_to_sparse_gate<T>{.head = {.model = 37, .experts = 5}}, linear, 6});
  check_bits(hg::layer{hg::relu_gate<T>{.head = {.model = 37, .experts = 5}}, linear, 7});
}

TEST_CASE("an inner dimension over one depth block keeps the bits too", "[layer][bits]") {
  check_bits(hg::layer{hg::topk_gate<float>{.head = {.model = 530, .experts = 3}, .select = {.k = 1}},
                       hg::ffn_expert<float>{.model = 530, .hidden = 19}, 1});
}

TEMPLATE_TEST_CASE("gradients have the same bits with any number of threads", "[layer][bits]", float, double) {
  using T = TestType;
  check_training_bits(
      hg::layer{top_2<T>(), hg::swiglu_expert<T, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 37, .hidden = 91},
                hg::ffn_expert<T, hg::gelu>{.model = 37, .hidden = 50}, 1});
  check_training_bits(hg::layer{hg::noisy_topk_gate<T>{.head = {.model = 37, .experts = 5}, .select = {.k = 2}},
                                hg::lora_expert<T>{.model = 37, .outputs = 37, .rank = 4, .dropout = T(0.2)}, 2});
}

TEST_CASE("threads that share one const layer get the bits that each gets alone", "[layer][bits]") {
  const hg::layer layer{top_2<float>(), hg::swiglu_expert<float>{.model = 37, .hidden = 40}, 9};
  std::vector<hg::matrix<float>> x, alone, together(4);
  for (std::uint64_t i = 0; i < 4; ++i) {
    x.push_back(random_matrix<float>(60, 37, {i}));
    alone.push_back(layer(x.back()));
  }
  const hg::thread_pool pool(2);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      decltype(layer)::workspace memory;
      for (int pass = 0; pass < 5; ++pass) layer.forward(pool, x[i], together[i], memory);
    });
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < 4; ++i) CHECK(same_matrix(together[i], alone[i]));
}

TEMPLATE_TEST_CASE("static and dynamic layers have the same bits, forward and backward", "[layer][bits]", float,
                   double) {
  using T = TestType;
  const hg::layer dynamic{hg::topk_gate<T>{.head = {.model = 37, .experts = 5}, .select = {.k = 2}},
                          hg::swiglu_expert<T>{.model = 37, .hidden = 19}, hg::ffn_expert<T>{.model = 37, .hidden = 11},
                          7};
  const hg::layer fixed{hg::topk_gate<T, 37, 5, 2>{}, hg::swiglu_expert<T, 37, 19>{},
                        hg::ffn_expert<T, hg::relu, 37, 11>{}, 7};
  const auto a = train_once(dynamic, hg::run_sequentially);
  const auto b = train_once(fixed, hg::run_sequentially);
  CHECK(same_matrix(a.y, b.y));
  CHECK(same_matrix(a.dx, b.dx));
  CHECK(same_matrix(a.grads.gate.head.weight, b.grads.gate.head.weight));
  CHECK(same_matrix(a.grads.experts[3].gate, b.grads.experts[3].gate));
  CHECK(same_matrix(a.grads.shared.down, b.grads.shared.down));
}

TEST_CASE("a tape in evaluation gives the bits of inference", "[layer][bits]") {
  const auto x = random_matrix<float>(23, 37, {1});
  const auto check = [&](const auto& layer) {
    typename std::remove_cvref_t<decltype(layer)>::tape tape;
    tape.training = false;
    hg::matrix<float> y;
    layer.forward(x, y, tape);
    CHECK(same_matrix(y, layer(x)));
  };
  const hg::linear_expert<float> linear{.model = 37, .outputs = 5};
  check(hg::layer{hg::noisy_topk_gate<float>{.head = {.model = 37, .experts = 5}, .select = {.k = 2}}, linear, 1});
  check(hg::layer{hg::gumbel_gate<float>{.head = {.model = 37, .experts = 5}}, linear, 1});
}
