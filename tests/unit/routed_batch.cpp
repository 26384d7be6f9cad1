// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/named.hpp>
#include <headgate/routed_batch.hpp>

#include "support/layer_checks.hpp"

using namespace headgate_test;

namespace {

using gate = hg::topk_gate<double>;

const gate policy{.head = {.model = 6, .experts = 4}, .select = {.k = 2}};

struct setting {
  gate::params p;
  hg::matrix<double> x = random_matrix<double>(9, 6, {2});
  hg::scratch<double> memory;
  hg::pass<double> pass{hg::run_sequentially, memory};
  hg::routed_batch<gate> batch;

  setting() {
    std::mt19937_64 generator(1);
    p = policy.init(generator);
  }
  void route(const hg::capacity& limit = {}) { batch.route(policy, p, limit, x, pass); }
};

/// A gate that takes no pass, as a user may write it; sends token t to expert t with weight t + 1.
struct plain_gate {
  using scalar = double;
  struct params {};
  struct cache {};
  static constexpr auto fields = std::tuple{};
  hg::index model, experts;
  double factor = 1;
  params init(std::mt19937_64&) const { return {}; }
  void route(const params&, hg::in<double> x, hg::routing<double>& r, cache&) const {
    for (hg::index t = 0; t < x.rows(); ++t) r.assignments.push_back({t, t, factor * static_cast<double>(t + 1)});
  }
};

static_assert(hg::gate_policy<plain_gate> && !hg::contextual_gate<plain_gate>);

}  // namespace

TEST_CASE("a routed batch holds the gate's record, its plan, and each slot's weight", "[layer][routed_batch]") {
  setting s;
  s.route();
  hg::routing<double> r;
  gate::cache cache;
  r.reset(9, 4);
  policy.route(s.p, s.x, r, cache, s.pass);
  REQUIRE(s.batch.routing.assignments.size() == 18);
  CHECK((s.batch.routing.tokens == 9 && s.batch.routing.experts == 4));
  bool right = s.batch.plan.slots() == 18 && s.batch.slot_weights.rows() == 18;
  for (hg::index a = 0; a < 18; ++a) {
    const auto& one = s.batch.routing.assignments[a];
    right = right && one.token == r.assignments[a].token && one.expert == r.assignments[a].expert &&
            one.weight == r.assignments[a].weight &&
            s.batch.slot_weights(s.batch.plan.slot_of(a), 0) == r.assignments[a].weight;
  }
  CHECK(right);
}

TEST_CASE("a routed batch keeps to the capacity", "[layer][routed_batch]") {
  setting s;
  s.route({.factor = 0.5});
  CHECK(s.batch.plan.dropped() == 18 - s.batch.plan.slots());
  CHECK(s.batch.plan.dropped() > 0);
  CHECK(s.batch.slot_weights.rows() == s.batch.plan.slots());
  bool right = true;
  for (hg::index slot = 0; slot < s.batch.plan.slots(); ++slot)
    right =
        right && s.batch.slot_weights(slot, 0) == s.batch.routing.assignments[s.batch.plan.assignment_of(slot)].weight;
  CHECK(right);
}

TEST_CASE("a routed batch is reused, also for no tokens", "[layer][routed_batch]") {
  setting s;
  s.route();
  const auto all = s.x;
  s.x.resize(0, 6);
  s.route();
  CHECK((s.batch.routing.assignments.empty() && s.batch.plan.slots() == 0 && s.batch.routing.tokens == 0));
  s.x = all;
  s.route();
  CHECK(s.batch.plan.slots() == 18);
}

TEST_CASE("a gate without a pass routes a batch, and a wrong weight is refused", "[layer][routed_batch]") {
  hg::scratch<double> memory;
  const hg::pass<double> pass{hg::run_sequentially, memory};
  hg::routed_batch<plain_gate> batch;
  const hg::matrix<double> x = random_matrix<double>(3, 2, {1});
  batch.route(plain_gate{2, 3}, {}, {}, x, pass);
  CHECK((batch.plan.slots() == 3 && batch.slot_weights(2, 0) == 3));
  CHECK(refusal([&] {
          batch.route(plain_gate{2, 3, infinity<double>}, {}, {}, x, pass);
        }) == "dispatch_plan: assignment 0 (token 0, expert 0) has the weight inf, weights must be finite");
  CHECK(refusal([&] {
          batch.route(plain_gate{2, 2}, {}, {}, x, pass);
        }) == "dispatch_plan: assignment 2 names expert 2, the layer has 2");
}

TEST_CASE("a routed batch steers its gate, and refuses to steer one that cannot be", "[layer][routed_batch]") {
  setting s;
  s.batch.steering.k = 3;
  s.route();
  CHECK(s.batch.plan.slots() == 27);
  s.batch.steering = {};
  s.route();
  CHECK(s.batch.plan.slots() == 18);

  hg::scratch<double> memory;
  const hg::pass<double> pass{hg::run_sequentially, memory};
  hg::routed_batch<plain_gate> batch;
  const hg::matrix<double> x = random_matrix<double>(3, 2, {1});
  batch.route(plain_gate{2, 3}, {}, {}, x, pass);
  batch.steering.off = {1};
  CHECK(refusal([&] {
          batch.route(plain_gate{2, 3}, {}, {}, x, pass);
        }) == "routed_batch: steering is set, but this gate cannot be steered (it is not marked `steerable`)");
  CHECK((batch.plan.slots() == 3 && batch.routing.tokens == 3));  // as it was
}
