// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/whole/inner_gate.hpp>

#include <headgate/gates/named.hpp>
#include <headgate/testing/archetypes.hpp>

#include "support/gate_checks.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace hg = headgate;
using namespace headgate_test;

namespace {

/// A record and a gradient that an inner gate fills, with and without a pass of its own.
template <class Gate>
double routed_and_pulled_back(const Gate& gate) {
  std::mt19937_64 generator(1);
  const auto p = gate.init(generator);
  typename Gate::params dp = p;
  hg::testing::detail::set_parameters<Gate>(dp, 0);
  typename Gate::cache c;
  hg::routing<double> r;
  r.assignments.push_back({7, 7, 7.0});  // what was there before
  hg::routing_gradient<double> d;
  hg::scratch<double> memory;
  const hg::pass<double> pass{hg::run_sequentially, memory, true, {1}};
  const auto x = random_matrix(3, 4, {2});
  hg::matrix<double> dx = hg::matrix<double>::Zero(3, 4);
  hg::detail::check_inner(gate);
  hg::detail::route_inner(gate, p, x, r, c, pass);
  CHECK(r.tokens == 3);
  CHECK(r.experts == 2);
  CHECK(r.assignments.size() == 6);
  d.reset(r);
  for (hg::index a = 0; a < 6; ++a) d.weights(a, 0) = static_cast<double>(a);
  hg::detail::backward_inner(gate, p, x, r, c, d, dx, dp, pass);
  return hg::testing::detail::flattened<Gate>(dp).cwiseAbs().sum();
}

}  // namespace

TEST_CASE("an inner gate is called with a pass if it takes one, and without if not", "[gates][whole][inner_gate]") {
  CHECK(routed_and_pulled_back(hg::testing::archetype_trainable_gate<>(4, 2)) == 15);
  CHECK(routed_and_pulled_back(hg::topk_gate<double, 4, 2, 2>{}) > 0);
}

TEST_CASE("an inner gate refuses its own options", "[gates][whole][inner_gate]") {
  CHECK_THROWS_WITH(hg::detail::check_inner(hg::topk_gate<double>{.head = {.model = 4, .experts = 2}}),
                    "top_k: k is 0, it must be at least 1");
}

TEST_CASE("for_each_block meets all dense blocks of a record", "[gates][whole][inner_gate]") {
  hg::routing<double> r;
  hg::routing_gradient<double> d;
  r.logits.zero(1, 1);
  r.scores.zero(1, 2);
  r.clean_logits.zero(1, 3);
  r.noise_scale.zero(1, 4);
  d.reset(r);
  std::string names;
  hg::index blocks = 0;
  hg::detail::for_each_block(
      [&](const char* name, const auto& a, const auto& b) {
        names += std::string(name) + ", ";
        CHECK(a.cols() == ++blocks);
        CHECK(b.cols() == a.cols());
      },
      r, d);
  CHECK(names == "router logit, score, router logit before the noise, noise scale, ");
}

TEST_CASE("chosen experts are forced upon a gate, which does the rest", "[gates][whole][inner_gate]") {
  using softmax_gate = hg::softmax_topk_gate<double>;
  const softmax_gate gate{.head = {.model = 4, .experts = 3}, .select = {.k = 1}};
  std::mt19937_64 generator(1);
  const auto p = gate.init(generator);
  softmax_gate::cache c;
  hg::routing<double> r;
  hg::scratch<double> memory;
  const auto x = random_matrix(3, 4, {2});
  const hg::steering<double> without{.off = {1}};
  const hg::pass<double> plain{hg::run_sequentially, memory},
      steered{hg::run_sequentially, memory, false, {}, &without};
  hg::detail::chosen_experts<double> chosen;
  for (const auto* pass : {&plain, &steered}) {
    hg::detail::route_head(gate, p, x, r, c, *pass);
    const bool off = pass == &steered;
    for (hg::index t = 0; t < 3; ++t) CHECK(std::isinf(r.logits(t, 1)) == off);
    chosen.start(3);
    const hg::index two[] = {2, 0};
    chosen.add(two, 2);
    chosen.add(two, 0);
    chosen.add(two, 1);
    chosen.route(gate, p, x, r, c, *pass);
    REQUIRE(r.assignments.size() == 3);
    CHECK(experts_of_token(r, 0) == std::vector<hg::index>{2, 0});
    CHECK(experts_of_token(r, 1).empty());
    CHECK(experts_of_token(r, 2) == std::vector<hg::index>{2});
    for (const auto& a : r.assignments) CHECK(a.weight == r.scores(a.token, a.expert));
  }
  auto bad = x;
  bad(1, 0) = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(hg::detail::route_head(gate, p, bad, r, c, plain),
                    contains("gate::route: the router logit of token 1"));
}
