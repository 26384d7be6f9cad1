// SPDX-License-Identifier: BSD-3-Clause
// Gates that pick any number of experts: after the largest pass, smaller ones allocate nothing.
#include <headgate/headgate.hpp>

#include "allocation/counting_new.hpp"
#include "support/layer_checks.hpp"

#include <vector>

using namespace headgate_test;

namespace {

template <class Gate>
void check_ragged(const Gate& gate) {
  using T = float;
  const hg::layer layer{gate, hg::swiglu_expert<T>{.model = 24, .hidden = 40}, 1};
  typename std::remove_cvref_t<decltype(layer)>::tape tape;
  auto grads = layer.zero_gradients();
  hg::matrix<T> y, dx;
  const auto train = [&](const hg::matrix<T>& x, const hg::matrix<T>& dy) {
    layer.forward(x, y, tape);
    layer.backward(x, dy, tape, dx, grads);
  };
  std::vector<hg::matrix<T>> x;
  std::vector<hg::index> slots;
  std::size_t largest = 0;
  const auto dy = random_matrix<T>(60, 24, {1});
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    x.push_back(random_matrix<T>(60, 24, {10 + seed}));
    decltype(tape) fresh;
    layer.forward(x.back(), y, fresh);
    slots.push_back(fresh.plan.slots());
    if (slots.back() > slots[largest]) largest = x.size() - 1;
  }
  CHECK(*std::min_element(slots.begin(), slots.end()) < slots[largest]);  // they do differ
  // The largest batch twice over: an expert may see more tokens in a smaller batch, which needs no memory of its own.
  train(x[largest], dy);
  for (const auto& batch : x) CHECK(allocations_of([&] { train(batch, dy); }) == 0);
  const hg::matrix<T> few = x[0].topRows(7), few_dy = dy.topRows(7);
  CHECK(allocations_of([&] { train(x[1], dy); }) == 0);
  hg::matrix<T> small_y(7, 24), small_dx(7, 24);
  CHECK(allocations_of([&] {
          layer.forward(few, small_y, tape);
          layer.backward(few, few_dy, tape, small_dx, grads);
        }) == 0);
  CHECK(allocations_of([&] { train(x[largest], dy); }) == 0);
}

}  // namespace

TEST_CASE("top-p passes below the largest allocate nothing", "[allocation]") {
  check_ragged(hg::top_p_gate<float>{.head = {.model = 24, .experts = 6}});
}
TEST_CASE("ReLU passes below the largest allocate nothing", "[allocation]") {
  check_ragged(hg::relu_gate<float>{.head = {.model = 24, .experts = 6}});
}
TEST_CASE("AdaMoLE passes below the largest allocate nothing", "[allocation]") {
  check_ragged(hg::adamole_gate<float>{.head = {.model = 24, .experts = 6}});
}

TEST_CASE("passes that drop second experts at random allocate nothing after one that kept them all", "[allocation]") {
  using T = float;
  hg::layer layer{hg::gshard_gate<T>{.gate = {.head = {.model = 24, .experts = 6}}, .threshold = 1e-30},
                  hg::swiglu_expert<T>{.model = 24, .hidden = 40}, 1};
  decltype(layer)::tape tape;
  auto grads = layer.zero_gradients();
  hg::matrix<T> y, dx;
  const auto x = random_matrix<T>(60, 24, {2}), dy = random_matrix<T>(60, 24, {3});
  const auto train = [&] {
    layer.forward(x, y, tape);
    layer.backward(x, dy, tape, dx, grads, hg::switch_balance<T>{});
  };
  train();
  CHECK(tape.plan.slots() == 120);
  layer.gate().threshold = 0.8;
  for (int step = 0; step < 5; ++step) {
    CHECK(allocations_of(train) == 0);
    CHECK(tape.plan.slots() < 120);
  }
}
