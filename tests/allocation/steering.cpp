// SPDX-License-Identifier: BSD-3-Clause
// After a first pass of a size, a steered pass allocates nothing, and neither do its backward and its telemetry.
#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/packed_layer.hpp>
#include <headgate/parallel/thread_pool.hpp>
#include <headgate/routing/telemetry.hpp>

#include "allocation/counting_new.hpp"
#include "support/layer_checks.hpp"

using namespace headgate_test;

namespace {

template <class Gate, class Executor>
void check_second_pass(const Gate& gate, const hg::steering<float>& how, const Executor& executor) {
  const hg::layer layer{gate, hg::swiglu_expert<float>{.model = 24, .hidden = 40}, 1};
  const hg::packed_layer packed{layer};
  typename decltype(packed)::workspace memory;
  typename decltype(hg::layer{layer})::tape tape;
  memory.steering = tape.steering = how;
  auto grads = layer.zero_gradients();
  hg::routing_telemetry telemetry;
  hg::matrix<float> y, dx;
  const auto x = random_matrix<float>(60, 24, {1}), dy = random_matrix<float>(60, 24, {2});
  const auto pass = [&] {
    packed.forward(executor, x, y, memory);
    layer.forward(executor, x, y, tape);
    layer.backward(executor, x, dy, tape, dx, grads);
    tape.random = {};
    telemetry.add(tape.routing, tape.plan);
  };
  CHECK(allocations_of(pass) > 0);
  CHECK(allocations_of(pass) == 0);
  memory.steering.k = tape.steering.k = 0;  // and no more than before is needed
  memory.steering.skip = tape.steering.skip = 0;
  if (how.k > 0) CHECK(allocations_of(pass) == 0);
}

template <class Gate>
void check_gate(const Gate& gate, const hg::steering<float>& how) {
  check_second_pass(gate, how, hg::run_sequentially);
  check_second_pass(gate, how, hg::thread_pool{2});
}

}  // namespace

TEST_CASE("the second steered pass allocates nothing", "[allocation][steering]") {
  hg::recorded_pass<float> forced(6);
  for (hg::index t = 0; t < 60; ++t) {
    const hg::index ids[] = {t % 6, (t + 2) % 6, (t + 3) % 6};
    const float weights[] = {0.5F, 1, -1};
    forced.append(ids, weights);
  }
  const hg::topk_gate<float> top_k{.head = {.model = 24, .experts = 6}, .select = {.k = 2}};
  check_gate(top_k, {.k = 4});
  check_gate(top_k, {.k = 3, .skip = 1, .off = {2}});
  check_gate(top_k, {.forced = &forced});
  check_gate(top_k, {.forced = &forced, .weights = hg::forced_weights::recorded});
  check_gate(hg::softmax_gate<float>{.head = {.model = 24, .experts = 6}}, {.off = {1, 2}});
  bool mask[60];
  for (hg::index t = 0; t < 60; ++t) mask[t] = t % 4 != 0;
  check_gate(top_k, {.mask = mask});
  check_gate(hg::expert_choice_gate<float>{.head = {.model = 24, .experts = 6}}, {.off = {1}, .mask = mask});
  check_gate(hg::sinkhorn_gate<float>{.gate = {.head = {.model = 24, .experts = 6}, .select = {.k = 2}}},
             {.k = 3, .skip = 1, .off = {1}, .mask = mask});
}
