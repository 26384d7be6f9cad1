// SPDX-License-Identifier: BSD-3-Clause
// After a first pass of a size, forward and backward allocate nothing.
#include <headgate/communicators/single_rank.hpp>
#include <headgate/headgate.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include "allocation/counting_new.hpp"
#include "support/layer_checks.hpp"

using namespace headgate_test;

namespace {

/// Inference and training, twice with other numbers of the same size after one pass to warm up.
template <class Layer, class Executor, class... Losses>
void check_second_pass(const Layer& layer, const Executor& executor, const Losses&... losses) {
  using T = typename Layer::scalar;
  typename Layer::workspace memory;
  typename Layer::tape tape;
  auto grads = layer.zero_gradients();
  hg::matrix<T> y, dx;
  const auto dy = random_matrix<T>(60, layer.outputs(), {1});
  const auto infer = [&](const hg::matrix<T>& x) { layer.forward(executor, x, y, memory); };
  const auto train = [&](const hg::matrix<T>& x) {
    layer.forward(executor, x, y, tape);
    layer.backward(executor, x, dy, tape, dx, grads, losses...);
    Layer::set_zero(grads);
  };
  const auto first = random_matrix<T>(60, layer.model(), {2}), second = random_matrix<T>(60, layer.model(), {3});
  CHECK(allocations_of([&] { infer(first); }) > 0);
  CHECK(allocations_of([&] { infer(second); }) == 0);
  train(first);
  tape.random = {};
  CHECK(allocations_of([&] { train(second); }) == 0);
  CHECK(allocations_of([&] { train(first); }) == 0);
}

template <class T, class Gate>
void check_gate(const Gate& gate) {
  const hg::layer layer{gate,
                        hg::swiglu_expert<T, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 24, .hidden = 40},
                        hg::ffn_expert<T, hg::gelu>{.model = 24, .hidden = 40}, 1};
  check_second_pass(layer, hg::run_sequentially);
  const hg::thread_pool pool(3);
  check_second_pass(layer, pool);
}

}  // namespace

TEMPLATE_TEST_CASE("the second pass of a top-k layer allocates nothing", "[allocation]", float, double) {
  using T = TestType;
  check_gate<T>(hg::topk_gate<T>{.head = {.model = 24, .experts = 6}, .select = {.k = 2}});
  check_gate<T>(hg::balanced_sigmoid_gate<T>{.head = {.model = 24, .experts = 6}, .select = {.k = 3}});
  check_gate<T>(hg::sparsemixer_gate<T>{.head = {.model = 24, .experts = 6}});
}

TEMPLATE_TEST_CASE("the second pass of a layer whose gate looks at the batch allocates nothing", "[allocation]", float,
                   double) {
  using T = TestType;
  check_gate<T>(hg::expert_choice_gate<T>{.head = {.model = 24, .experts = 6}});
  check_gate<T>(hg::sinkhorn_gate<T>{.gate = {.head = {.model = 24, .experts = 6}, .select = {.k = 2}}});
}

TEST_CASE("the second pass of a layer with a router in double allocates nothing", "[allocation]") {
  check_gate<float>(
      hg::in_double<hg::noisy_topk_gate<double>>{.gate = {.head = {.model = 24, .experts = 6}, .select = {.k = 2}}});
}

TEMPLATE_TEST_CASE("the second pass of a noisy or dense layer allocates nothing", "[allocation]", float, double) {
  using T = TestType;
  check_gate<T>(hg::noisy_topk_gate<T>{.head = {.model = 24, .experts = 6}, .select = {.k = 2}});
  check_gate<T>(hg::gumbel_gate<T>{.head = {.model = 24, .experts = 6}});
  check_gate<T>(hg::activation_dense_to_sparse_gate<T>{.head = {.model = 24, .experts = 6}});
}

TEMPLATE_TEST_CASE("losses, low-rank and frozen experts and dropping tokens allocate nothing in the second pass",
                   "[allocation]", float, double) {
  using T = TestType;
  const hg::layer noisy{hg::noisy_topk_gate<T>{.head = {.model = 24, .experts = 6}, .select = {.k = 2}},
                        hg::linear_expert<T>{.model = 24, .outputs = 9}, 1};
  check_second_pass(noisy, hg::run_sequentially, hg::load_balance<T>{}, hg::importance_balance<T>{});
  const hg::layer layer{hg::softmax_topk_gate<T>{.head = {.model = 24, .experts = 6}, .select = {.k = 2}},
                        hg::lora_expert<T>{.model = 24, .outputs = 9, .rank = 3, .dropout = T(0.2)},
                        hg::frozen{hg::linear_expert<T>{.model = 24, .outputs = 9}}, 1};
  check_second_pass(layer, hg::run_sequentially, hg::switch_balance<T>{}, hg::router_z<T>{}, hg::entropy_bonus<T>{});
  hg::expert_counts counts;
  const auto accumulating = [&counts](const hg::routing<T>& r, hg::routing_gradient<T>& d) {
    counts.collect(r);
    return hg::global_balance<T>{.counts = &counts}(r, d);
  };
  check_second_pass(layer, hg::run_sequentially, accumulating, hg::entropy_bonus<T>{});
  const std::vector<hg::index> devices = {0, 0, 1, 1, 2, 2};
  check_second_pass(layer, hg::run_sequentially, hg::sequence_balance<T>{.length = 12},
                    hg::device_balance<T>{.devices = devices}, hg::communication_balance<T>{.devices = devices},
                    hg::mutual_information_balance<T>{}, hg::load_concentration<T>{});
  hg::loss_values<T> values;
  hg::single_rank alone;
  hg::expert_counts over_ranks(hg::counted_choices::first);
  const auto over_all_ranks = [&](const hg::routing<T>& r, hg::routing_gradient<T>& d) {
    over_ranks.collect(alone, r);
    return hg::global_balance<T>{.counts = &over_ranks}(r, d);
  };
  check_second_pass(layer, hg::run_sequentially, values("over all ranks", over_all_ranks),
                    values(hg::switch_balance<T>{.choices = hg::counted_choices::first}), values(hg::router_z<T>{}));
  CHECK(counts.total() == 3 * 60 * 2);
  CHECK(over_ranks.total() == 3 * 60);
  for (const auto rule : {hg::drop::by_position, hg::drop::by_probability, hg::drop::by_choice, hg::drop::by_priority})
    check_second_pass(hg::layer{hg::softmax_topk_gate<T>{.head = {.model = 24, .experts = 6}, .select = {.k = 2}},
                                hg::linear_expert<T>{.model = 24, .outputs = 9}, 1,
                                hg::layer_options{.capacity = {.factor = 0.5, .drop = rule}}},
                      hg::run_sequentially);
}

TEMPLATE_TEST_CASE("weights on the input, gated, constant and free experts allocate nothing in the second pass",
                   "[allocation]", float, double) {
  using T = TestType;
  const hg::softmax_topk_gate<T> gate{.head = {.model = 24, .experts = 6}, .select = {.k = 2}};
  const hg::clamped_swiglu_expert<T> expert{.model = 24, .hidden = 40};
  check_second_pass(
      hg::layer{gate, expert, hg::sigmoid_gated{expert}, 1, hg::layer_options{.weight_on = hg::weight_on::input}},
      hg::run_sequentially);
  check_second_pass(hg::layer{gate, expert, hg::constant_expert<T>{.model = 24, .outputs = 24}, 1},
                    hg::run_sequentially);
  const hg::softmax_gate<T> all{.head = {.model = 24, .experts = 6}};  // as many slots for each expert in every batch
  check_second_pass(hg::layer{all, hg::with_free_experts{expert, 2, 1}, 1}, hg::run_sequentially);
}
