// SPDX-License-Identifier: BSD-3-Clause
// What whole gates make of a steering is tested in tests/property/steering.cpp.
#include <headgate/gates/steered_rows.hpp>

#include <headgate/gates/gate.hpp>
#include <headgate/gates/head/linear_head.hpp>
#include <headgate/gates/score/softmax.hpp>
#include <headgate/gates/weigh/raw.hpp>

#include "support/layer_checks.hpp"

#include <algorithm>
#include <vector>

using namespace headgate_test;

namespace {

/// A user's selection, with a k of its own that it does not keep to.
struct these {
  std::vector<hg::index> named;
  hg::index says = -1;

  [[nodiscard]] hg::index count(hg::index) const { return 2; }
  [[nodiscard]] these with_k(hg::index) const { return *this; }
  template <class T>
  hg::index operator()(const T*, hg::index, hg::index* ids) const {
    std::copy(named.begin(), named.end(), ids);
    return says >= 0 ? says : static_cast<hg::index>(named.size());
  }
};

struct setting {
  hg::gate<hg::linear_head<double>, hg::softmax, these, hg::raw> gate{
      .head = {.model = 2, .experts = 4}, .score = {}, .select = {}, .weigh = {}};
  decltype(gate)::params p;
  decltype(gate)::cache cache;
  hg::routing<double> r;
  hg::scratch<double> memory;
  hg::matrix<double> x = random_matrix(3, 2, {1});

  setting() {
    std::mt19937_64 generator(1);
    p = gate.init(generator);
  }
  std::string route(std::vector<hg::index> named, const hg::steering<double>& how, hg::index says = -1) {
    gate.select = {std::move(named), says};
    return refusal([&] {
      gate.route(p, x, r, cache, hg::pass<double>{hg::run_sequentially, memory, false, {}, &how});
    });
  }
};

}  // namespace

TEST_CASE("a user's selection is steered, and refused where it names what it should not", "[gates][steered_rows]") {
  setting s;
  CHECK(s.route({3, 1, 0}, {.skip = 1}).empty());
  REQUIRE(s.r.assignments.size() == 6);
  CHECK((s.r.assignments[4].token == 2 && s.r.assignments[4].expert == 1 && s.r.assignments[5].expert == 0));
  CHECK(s.r.assignments[4].weight == s.r.scores(2, 1));
  CHECK(s.route({3, 1, 0}, {.skip = 1, .off = {0}}).empty());
  CHECK(s.r.assignments.size() == 3);
  CHECK(s.route({3}, {.off = {0}}).empty());

  CHECK(s.route({3, 4}, {.k = 1}) == "gate::route: the selection names expert 4 for token 0, the gate has 4");
  CHECK(s.r.assignments.empty());
  CHECK(s.route({3, -1}, {.k = 1}) == "gate::route: the selection names expert -1 for token 0, the gate has 4");
  CHECK(s.route({3, 3}, {.k = 1}) == "gate::route: the selection names expert 3 twice for token 0");
  CHECK(s.route({0}, {.skip = 2}) == "gate::route: the selection names 1 experts for token 0, the gate has 4");
  CHECK(s.route({}, {.k = 1}, 5) == "gate::route: the selection names 5 experts for token 0, the gate has 4");
  CHECK(s.route({2, 1}, {.k = 1}).empty());
}

TEST_CASE("a cache tells how its last pass was steered", "[gates][steered_rows]") {
  hg::detail::steered_memory<double> memory;
  const hg::recorded_pass<double> forced(3);
  hg::steering<double> how{.forced = &forced};
  memory.start(&how);
  CHECK((memory.used && !memory.weights_are_recorded));
  how.weights = hg::forced_weights::recorded;
  memory.start(&how);
  CHECK((memory.used && memory.weights_are_recorded));
  memory.start(nullptr);
  CHECK((!memory.used && !memory.weights_are_recorded));
}
