// SPDX-License-Identifier: BSD-3-Clause
// Neither the routing record nor the plan depends on threads, tasks or chunks: bit for bit, in batches of many tasks.
#include <headgate/gates/named.hpp>
#include <headgate/parallel/thread_pool.hpp>
#include <headgate/routing/plan.hpp>

#include "support/gate_checks.hpp"
#include "support/kernel_checks.hpp"
#include "support/shuffled.hpp"

#include <type_traits>

using namespace headgate_test;

namespace {

struct outcome {
  hg::routing<float> r;
  hg::dispatch_plan plan;
};

template <class Gate, class Executor>
outcome route_with(const Gate& gate, const hg::matrix<float>& x, const Executor& executor) {
  std::mt19937_64 generator(3);
  const auto p = gate.init(generator);
  outcome one;
  typename Gate::cache cache;
  hg::scratch<float> memory;
  for (const hg::index tokens : {x.rows(), hg::index{5}, x.rows()}) {  // memory of other sizes does not show
    one.r.reset(tokens, gate.experts());
    gate.route(p, x.topRows(tokens), one.r, cache, hg::pass<float, Executor>{executor, memory});
    one.plan.make(one.r, {}, executor);
  }
  return one;
}

bool same(const outcome& a, const outcome& b) {
  bool equal = a.r.assignments.size() == b.r.assignments.size() && a.plan.slots() == b.plan.slots();
  for (hg::index i = 0; equal && i < a.r.assignments.size(); ++i) {
    const auto& one = a.r.assignments[i];
    const auto& other = b.r.assignments[i];
    equal = one.token == other.token && one.expert == other.expert && same_bits(one.weight, other.weight) &&
            a.plan.slot_of(i) == b.plan.slot_of(i) && a.plan.token_slots()[i] == b.plan.token_slots()[i];
  }
  return equal && same_bits(a.r.scores.block(), b.r.scores.block());
}

template <class Gate>
void check_threads(const Gate& gate, hg::index tokens) {
  const auto x = random_matrix<float>(tokens, gate.model(), {6});
  const outcome alone = route_with(gate, x, hg::run_sequentially);
  CHECK(same(route_with(gate, x, hg::thread_pool{2}), alone));
  CHECK(same(route_with(gate, x, hg::thread_pool{3}), alone));
  CHECK(same(route_with(gate, x, shuffled{4, 9}), alone));
}

}  // namespace

TEST_CASE("routing and plan have the same bits with any executor", "[property][gates][threads]") {
  check_threads(hg::renormalised_topk_gate<float>{.head = {.model = 3, .experts = 8}, .select = {.k = 2}}, 5003);
  check_threads(hg::topk_gate<float>{.head = {.model = 3, .experts = 11}, .select = {.k = 4}}, 2501);
  check_threads(hg::balanced_sigmoid_gate<float>{.head = {.model = 5, .experts = 70}, .select = {.k = 8}}, 1200);
  check_threads(hg::softmax_gate<float>{.head = {.model = 3, .experts = 5}}, 5003);
}

TEST_CASE(
    "routing with a score of the whole batch, or a varying number of experts, has the same bits with any executor",
    "[property][gates][threads]") {
  check_threads(hg::gumbel_gate<float>{.head = {.model = 3, .experts = 8}}, 1100);
  check_threads(hg::top_p_gate<float>{.head = {.model = 3, .experts = 8}}, 1100);
  check_threads(hg::relu_gate<float>{.head = {.model = 3, .experts = 7}}, 2100);
}
