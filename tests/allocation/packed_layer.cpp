// SPDX-License-Identifier: BSD-3-Clause
// After a first pass of a size, a packed layer allocates nothing.
#include <headgate/experts/constant.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/sigmoid_gated.hpp>
#include <headgate/experts/with_free_experts.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/packed_layer.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include "allocation/counting_new.hpp"
#include "support/layer_checks.hpp"

using namespace headgate_test;

namespace {

/// 1, 3 and 64 tokens, each twice with other numbers after one pass to warm up; then smaller batches in the memory of the
/// largest. The executor is ready for work when it comes here.
template <class Storage, class Layer, class Executor>
void check_second_pass(const Layer& layer, const Executor& executor) {
  using T = typename Layer::scalar;
  const hg::packed_layer<Layer, Storage> packed(layer, executor);
  typename hg::packed_layer<Layer, Storage>::workspace memory;
  hg::matrix<T> y(64, layer.outputs());
  const auto run = [&](hg::index tokens, std::uint64_t seed) {
    const auto x = random_matrix<T>(tokens, layer.model(), {seed});
    return allocations_of([&] { packed.forward(executor, x, y.topRows(tokens), memory); });
  };
  for (const hg::index tokens : {1, 3, 64}) {
    CAPTURE(tokens);
    CHECK(run(tokens, 1) > 0);
    CHECK(run(tokens, 2) == 0);
    CHECK(run(tokens, 3) == 0);
  }
  CHECK(run(3, 4) == 0);
  CHECK(run(1, 5) == 0);
}

template <class Storage, class Layer>
void check_layer(const Layer& layer) {
  check_second_pass<Storage>(layer, hg::run_sequentially);
  const hg::thread_pool pool(2);
  check_second_pass<Storage>(layer, pool);
}

// Large enough for two threads at 64 tokens.
const hg::topk_gate<float> gate{.head = {.model = 63, .experts = 6}, .select = {.k = 2}};

}  // namespace

TEST_CASE("the second pass of a packed layer with a shared expert allocates nothing", "[allocation][packed_layer]") {
  const hg::layer layer{
      gate, hg::swiglu_expert<float, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 63, .hidden = 100},
      hg::ffn_expert<float>{.model = 63, .hidden = 100}, 1};
  check_layer<float>(layer);
  check_layer<hg::bf16>(layer);
}

TEST_CASE("the second pass of a packed layer without a shared expert allocates nothing", "[allocation][packed_layer]") {
  check_layer<float>(hg::layer{gate, hg::linear_expert<float>{.model = 63, .outputs = 100}, 1});
}

namespace {

/// Batches as different as can be: each its own first pass after `reserve`.
template <class Layer, class Executor>
void check_first_pass(Layer layer, const Executor& executor) {
  using T = typename Layer::scalar;
  const hg::packed_layer<Layer> packed{layer};
  typename hg::packed_layer<Layer>::workspace memory;
  const long before = new_bytes.load();
  packed.reserve(executor, 64, memory);
  const auto reserved = static_cast<double>(new_bytes.load() - before);
  const auto planned = static_cast<double>(packed.plan(64, executor.workers()).bytes);
  CAPTURE(planned, reserved);
  CHECK(planned <= reserved);  // the gate's cache is not in the plan
  CHECK(reserved <= 1.1 * planned);

  hg::matrix<T> y(64, layer.outputs());
  for (const hg::index tokens : {64, 1, 3, 63})
    for (const bool all_to_one : {true, false}) {
      hg::matrix<T> x = random_matrix<T>(tokens, layer.model(), {static_cast<std::uint64_t>(tokens)});
      if (all_to_one) x.rowwise() = hg::matrix<T>(x.row(0)).row(0);
      CAPTURE(tokens, all_to_one);
      CHECK(allocations_of([&] { packed.forward(executor, x, y.topRows(tokens), memory); }) == 0);
    }
}

}  // namespace

TEST_CASE("with reserved memory the first pass allocates nothing, and the plan tells how much that is",
          "[allocation][packed_layer]") {
  const hg::thread_pool pool(2);
  const hg::swiglu_expert<float> expert{.model = 63, .hidden = 100};
  const hg::layer with_shared{gate, expert, hg::ffn_expert<float>{.model = 63, .hidden = 300}, 1};
  const hg::layer ragged{hg::top_p_gate<float>{.head = {.model = 63, .experts = 6}}, expert, 1};
  const hg::layer linear{gate, hg::linear_expert<float>{.model = 63, .outputs = 100}, 1};
  check_first_pass(with_shared, hg::run_sequentially);
  check_first_pass(with_shared, pool);
  check_first_pass(ragged, pool);
  check_first_pass(linear, pool);
  const hg::layer on_input{gate, expert, hg::sigmoid_gated{expert}, 1,
                           hg::layer_options{.weight_on = hg::weight_on::input}};
  check_first_pass(on_input, pool);
  const hg::layer free{gate, hg::with_free_experts{expert, 2, 1},
                       hg::constant_expert<float>{.model = 63, .outputs = 63}, 1};
  check_first_pass(free, pool);
}

namespace {

/// x whose tokens go to all experts, then one whose tokens all go to the same, and back: a pass in the memory of another
/// distribution of as many assignments.
template <class Layer, class Pass>
void check_shifting_routes(const Layer& layer, hg::index tokens, const Pass& pass) {
  using T = typename Layer::scalar;
  const auto spread = random_matrix<T>(tokens, layer.model(), {7});
  hg::matrix<T> same = spread;
  same.rowwise() = hg::matrix<T>(spread.row(0)).row(0);
  for (const bool spread_first : {true, false}) {
    CAPTURE(spread_first);
    CHECK(pass(spread_first ? spread : same, spread_first ? same : spread) == 0);
  }
}

}  // namespace

TEST_CASE("routes that shift from many experts to one and back allocate nothing", "[allocation][packed_layer]") {
  const hg::layer layer{hg::topk_gate<float>{.head = {.model = 24, .experts = 8}, .select = {.k = 1}},
                        hg::swiglu_expert<float>{.model = 24, .hidden = 256},
                        hg::ffn_expert<float>{.model = 24, .hidden = 33}, 1};
  using layer_type = std::remove_cv_t<decltype(layer)>;
  const hg::packed_layer packed{layer};
  const hg::thread_pool pool(2);
  hg::matrix<float> y(900, 24), dx(900, 24);
  for (const hg::index tokens : {64, 900}) {  // 900 rows are more than one block
    CAPTURE(tokens);
    check_shifting_routes(layer, tokens, [&](const auto& first, const auto& second) {
      hg::packed_layer<layer_type>::workspace memory;
      packed.forward(pool, first, y.topRows(tokens), memory);
      return allocations_of([&] { packed.forward(pool, second, y.topRows(tokens), memory); });
    });
    check_shifting_routes(layer, tokens, [&](const auto& first, const auto& second) {
      layer_type::workspace memory;
      layer.forward(pool, first, y.topRows(tokens), memory);
      return allocations_of([&] { layer.forward(pool, second, y.topRows(tokens), memory); });
    });
    check_shifting_routes(layer, tokens, [&](const auto& first, const auto& second) {
      layer_type::tape tape;
      auto grads = layer.zero_gradients();
      const auto step = [&](const auto& x) {
        layer.forward(pool, x, y.topRows(tokens), tape);
        layer.backward(pool, x, x, tape, dx.topRows(tokens), grads);
      };
      step(first);
      return allocations_of([&] { step(second); });
    });
  }
}
