// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/whole/random_second.hpp>

#include <headgate/gates/named.hpp>
#include <headgate/losses/load.hpp>
#include <headgate/parallel/thread_pool.hpp>
#include <headgate/testing/archetypes.hpp>

#include "support/gate_checks.hpp"

#include <cmath>
#include <limits>
#include <vector>

namespace hg = headgate;
using namespace headgate_test;

namespace {

using top_two = hg::renormalised_topk_gate<double>;
using gshard = hg::random_second<top_two>;
static_assert(hg::trainable_gate<gshard> && hg::contextual_gate<gshard>);

top_two inner(hg::index k = 2) { return {.head = {.model = 5, .experts = 6}, .select = {.k = k}}; }

/// The n-th assignment of a token has the weight `weights[n]`, whatever the input is.
struct fixed_weights {
  using scalar = double;
  struct params {};
  struct cache {};
  static constexpr auto fields = std::tuple{};
  hg::index model = 1, experts = 4;
  std::vector<double> weights{};
  bool by_place = false;  // all first assignments before any second one
  bool best_first = true;

  params init(std::mt19937_64&) const { return {}; }
  void route(const params&, hg::in<double> x, hg::routing<double>& r, cache&) const {
    const auto add = [&](hg::index t, std::size_t n) {
      r.assignments.push_back({t, (t + static_cast<hg::index>(n)) % experts, weights[n]});
    };
    r.best_first = best_first;
    if (by_place) {
      for (std::size_t n = 0; n < weights.size(); ++n)
        for (hg::index t = 0; t < x.rows(); ++t) add(t, n);
    } else {
      for (hg::index t = 0; t < x.rows(); ++t)
        for (std::size_t n = 0; n < weights.size(); ++n) add(t, n);
    }
  }
  void backward(const params&, hg::in<double>, const hg::routing<double>& r, cache&, hg::routing_gradient<double>& d,
                hg::out<double> dx, params&) const {
    for (hg::index a = 0; a < r.assignments.size(); ++a) dx(r.assignments[a].token, 0) += d.weights(a, 0);
  }
};

/// The least a gate can be, and that it lists the best first.
struct ordered_archetype : hg::testing::archetype_trainable_gate<> {
  using hg::testing::archetype_trainable_gate<>::archetype_trainable_gate;
  void route(const params& p, hg::in<double> x, hg::routing<double>& r, cache& c) const {
    hg::testing::archetype_trainable_gate<>::route(p, x, r, c);
    r.best_first = true;
  }
};

}  // namespace

TEST_CASE("random_second keeps every promise of a gate, over any gate", "[gates][whole][random_second]") {
  for (const hg::index k : {1, 2, 4}) CHECK(hg::testing::check_gate(gshard{.gate = inner(k), .threshold = 0.5}));
  using noisy = hg::noisy_topk_gate<double>;
  CHECK(hg::testing::check_gate(
      hg::random_second<noisy>{.gate = {.head = {.model = 6, .experts = 4}, .select = {.k = 2}}, .threshold = 0.6},
      {.random = {2}}));
  CHECK(hg::testing::check_gate(hg::random_second{ordered_archetype(4, 3), 1.0}));
}

TEST_CASE("random_second is its gate in evaluation, with the same names of parameters",
          "[gates][whole][random_second]") {
  routed alone(inner());
  routed gate(gshard{.gate = inner()});
  const auto x = random_matrix(30, 5, {2});
  CHECK(dense_weights(gate(x)) == dense_weights(alone(x)));
  hg::field_path path;
  const auto same = [](std::string_view name, const hg::matrix<double>& w, const hg::matrix<double>&) {
    CHECK(name == "weight");
    CHECK(w.rows() == 6);
  };
  hg::for_each_field<gshard, hg::fields_of::storage>(path, same, gate.p, alone.p);
  CHECK(gate.p.head.weight == alone.p.head.weight);
}

TEST_CASE("random_second drops each assignment after the first by the number of its row and place",
          "[gates][whole][random_second]") {
  const double threshold = 0.7;
  routed alone(inner(3));
  routed gate(gshard{.gate = inner(3), .threshold = threshold});
  const auto x = random_matrix(200, 5, {2});
  const auto& all = alone.training(x, 8);
  const auto& r = gate.training(x, 8);
  const hg::random_stream numbers = hg::random_stream{8}.channel(~std::uint64_t{1});
  hg::index next = 0;
  for (hg::index t = 0; t < 200; ++t)
    for (hg::index n = 0; n < 3; ++n) {
      const auto& a = all.assignments[3 * t + n];
      if (n > 0 && a.weight <= threshold * hg::uniform(numbers, t, n)) continue;
      REQUIRE(next < r.assignments.size());
      const auto& b = r.assignments[next++];
      CHECK(b.token == t);
      CHECK(b.expert == a.expert);
      CHECK(b.weight == a.weight);  // also of the first: it keeps its share
    }
  CHECK(next == r.assignments.size());
  CHECK(next > 250);
  CHECK(next < 550);
  CHECK(hg::map_of(r.logits.block()) == hg::map_of(all.logits.block()));
  CHECK(hg::map_of(r.scores.block()) == hg::map_of(all.scores.block()));
  CHECK(r.scores_are == all.scores_are);
}

TEST_CASE("random_second keeps a second expert as often as its weight over the threshold says, and a first always",
          "[gates][whole][random_second]") {
  // 20000 draws: three standard deviations of a frequency are at most 0.0106.
  const hg::index tokens = 20000;
  const auto share = [&](double weight, double threshold) {
    routed gate(hg::random_second<fixed_weights>{.gate = {.weights = {0.0, weight}}, .threshold = threshold});
    return static_cast<double>(gate.training(hg::matrix<double>::Zero(tokens, 1), 3).assignments.size() - tokens) /
           static_cast<double>(tokens);
  };
  CHECK(std::abs(share(0.05, 0.2) - 0.25) < 0.0106);  // ST-MoE
  CHECK(std::abs(share(0.3, 0.5) - 0.6) < 0.0106);    // GShard: 2 w > u
  CHECK(share(0.2, 0.2) == 1);
  CHECK(share(0.4, 0.2) == 1);
  CHECK(share(0.0, 0.2) == 0);
}

TEST_CASE("random_second takes a token's assignments by their order, also where they do not lie together",
          "[gates][whole][random_second]") {
  const auto x = hg::matrix<double>::Zero(50, 1).eval();
  routed together(hg::random_second<fixed_weights>{.gate = {.weights = {0.1, 0.1, 0.1}}, .threshold = 0.2});
  routed apart(
      hg::random_second<fixed_weights>{.gate = {.weights = {0.1, 0.1, 0.1}, .by_place = true}, .threshold = 0.2});
  CHECK(dense_weights(together.training(x, 1)) == dense_weights(apart.training(x, 1)));
  for (hg::index t = 0; t < 50; ++t) CHECK(experts_of_token(apart.r, t)[0] == t % 4);
  const auto dg = random_matrix(50, 4, {4});
  apart.backward(x, dg);
  const auto on = [](double weight) { return weight != 0 ? 1.0 : 0.0; };
  const hg::matrix<double> kept = dense_weights(apart.r).unaryExpr(on);
  CHECK((apart.dx.col(0) - (kept.array() * dg.array()).rowwise().sum().matrix()).isZero(1e-14));
}

TEST_CASE("what random_second drops gets no gradient, and the gradient of the record is left as it was",
          "[gates][whole][random_second]") {
  routed alone(inner());
  routed gate(gshard{.gate = inner(), .threshold = 1});
  const auto x = random_matrix(40, 5, {2});
  alone.training(x, 8);
  const auto kept = dense_weights(gate.training(x, 8));
  const auto dg = random_matrix(40, 6, {3});
  const auto on = [](double weight) { return weight != 0 ? 1.0 : 0.0; };
  const hg::matrix<double> masked = dg.array() * kept.unaryExpr(on).array();
  gate.backward(x, dg);
  alone.backward(x, masked);
  CHECK(gate.dx == alone.dx);
  CHECK(gate.dp.head.weight == alone.dp.head.weight);
  REQUIRE(gate.d.weights.rows() == gate.r.assignments.size());
  for (hg::index a = 0; a < gate.d.weights.rows(); ++a)
    CHECK(gate.d.weights(a, 0) == dg(gate.r.assignments[a].token, gate.r.assignments[a].expert));
}

TEST_CASE("random_second of a training pass, then of an evaluation, is differentiated by the last",
          "[gates][whole][random_second]") {
  routed alone(inner());
  routed gate(gshard{.gate = inner(), .threshold = 1});
  const auto x = random_matrix(40, 5, {2}), y = random_matrix(11, 5, {7}), dg = random_matrix(11, 6, {3});
  gate.training(x, 8);
  gate(y);
  alone(y);
  gate.backward(y, dg);
  alone.backward(y, dg);
  CHECK(gate.dx == alone.dx);
}

TEST_CASE("losses see the noise of a gate within random_second", "[gates][whole][random_second]") {
  using noisy = hg::noisy_topk_gate<double>;
  const noisy with_noise{.head = {.model = 5, .experts = 4}, .select = {.k = 1}};
  routed alone(with_noise);
  routed gate(hg::random_second<noisy>{.gate = with_noise});
  const auto x = random_matrix(12, 5, {2});
  alone.training(x, 4);
  gate.training(x, 4);
  CHECK(gate.backward_of(x, hg::load_balance<double>{}) == alone.backward_of(x, hg::load_balance<double>{}));
  CHECK(gate.dp.head.noise_weight == alone.dp.head.noise_weight);
  CHECK(gate.dp.head.noise_weight.cwiseAbs().sum() > 0);
}

TEST_CASE("load_balance over random_second is that of the gate's own choice, whatever is dropped of it",
          "[gates][whole][random_second]") {
  using noisy = hg::noisy_topk_gate<double>;
  for (const hg::index k : {2, 3, 4}) {  // of 4: with all experts chosen the load is a count
    const noisy with_noise{.head = {.model = 5, .experts = 4}, .select = {.k = k}};
    routed alone(with_noise);
    routed gate(hg::random_second<noisy>{.gate = with_noise, .threshold = 1});
    const auto x = random_matrix(200, 5, {2});
    const auto& all = alone.training(x, 4);
    const auto& r = gate.training(x, 4);
    CHECK(r.assignments.size() < all.assignments.size() - 40);  // many tokens lose their second
    REQUIRE(r.chosen.size() == all.assignments.size());
    for (hg::index a = 0; a < r.chosen.size(); ++a)
      CHECK((r.chosen[a].token == all.assignments[a].token && r.chosen[a].expert == all.assignments[a].expert));
    CHECK(gate.backward_of(x, hg::load_balance<double>{}) == alone.backward_of(x, hg::load_balance<double>{}));
    CHECK(gate.dp.head.weight == alone.dp.head.weight);
    CHECK(gate.dp.head.noise_weight == alone.dp.head.noise_weight);
    gate(x);
    alone(x);
    CHECK(gate.r.chosen.empty());  // nothing is dropped in evaluation
    CHECK(gate.backward_of(x, hg::load_balance<double>{}) == alone.backward_of(x, hg::load_balance<double>{}));
  }
}

TEST_CASE("random_second refuses a gate that does not say which of a token's experts is the best",
          "[gates][whole][random_second]") {
  fixed_weights by_index{.weights = {0.1, 0.9}, .best_first = false};
  routed gate(hg::random_second<fixed_weights>{.gate = by_index});
  CHECK_THROWS_WITH(gate.training(hg::matrix<double>::Zero(3, 1), 1),
                    "random_second: the gate does not say that it lists a token's experts best first "
                    "(routing::best_first, docs/writing-a-gate.md)");
  CHECK_NOTHROW(gate(hg::matrix<double>::Zero(3, 1)));  // in evaluation it is that gate
  CHECK_FALSE(gate.r.best_first);
  routed ordered(gshard{.gate = inner()});
  ordered.training(random_matrix(3, 5, {2}), 1);
  CHECK(ordered.r.best_first);
}

TEST_CASE("random_second gives the same bits with any executor", "[gates][whole][random_second]") {
  const gshard gate{.gate = inner(), .threshold = 0.9};
  std::mt19937_64 generator(1);
  const auto p = gate.init(generator);
  const hg::matrix<double> x = random_matrix(6000, 5, {4});
  const auto run = [&](const auto& executor) {
    gshard::cache c;
    hg::routing<double> r;
    hg::scratch<double> memory;
    gate.route(p, x, r, c, hg::pass<double, std::remove_cvref_t<decltype(executor)>>{executor, memory, true, {3}});
    return dense_weights(r);
  };
  CHECK(run(hg::thread_pool(3)) == run(hg::run_sequentially));
}

TEST_CASE("random_second refuses a threshold that is no probability's, and what its gate refuses",
          "[gates][whole][random_second]") {
  CHECK_THROWS_WITH((gshard{.gate = inner(), .threshold = 0}.check()),
                    "random_second: threshold is 0, it must be finite and greater than 0");
  CHECK_THROWS_WITH((gshard{.gate = inner(), .threshold = std::numeric_limits<double>::quiet_NaN()}.check()),
                    contains("nan, it must be finite"));
  CHECK_THROWS_WITH(gshard{.gate = inner(9)}.check(), "top_k: k is 9, the gate has 6 experts");
}

TEST_CASE("random_second drops nothing where experts are forced", "[gates][whole][random_second]") {
  const gshard gate{.gate = inner(), .threshold = 1};
  std::mt19937_64 generator(1);
  const auto p = gate.init(generator);
  const auto x = random_matrix(50, 5, {2});
  hg::recorded_pass<double> forced(6);
  for (hg::index t = 0; t < 50; ++t) {
    const hg::index ids[] = {t % 6, (t + 2) % 6};
    const double weights[] = {0.9, 0.1};
    forced.append(ids, weights);
  }
  const hg::steering<double> how{.forced = &forced}, only_off{.off = {0}};
  gshard::cache c;
  hg::routing<double> r;
  hg::scratch<double> memory;
  const auto route = [&](const hg::steering<double>* by) {
    gate.route(p, x, r, c, hg::pass<double>{hg::run_sequentially, memory, true, {3}, by});
    return r.assignments.size();
  };
  CHECK(route(nullptr) < 100);
  CHECK(route(&only_off) < 100);
  CHECK(route(&how) == 100);
  hg::routing_gradient<double> d;
  d.reset(r);
  for (hg::index a = 0; a < 100; ++a) d.weights(a, 0) = static_cast<double>(a);
  hg::matrix<double> dx = hg::matrix<double>::Zero(50, 5);
  auto dp = p;
  dp.head.weight.setZero();
  gate.backward(p, x, r, c, d, dx, dp, hg::pass<double>{hg::run_sequentially, memory, true, {3}, &how});
  CHECK(dp.head.weight.norm() > 0);
}
