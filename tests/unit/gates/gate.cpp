// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/gate.hpp>

#include <headgate/gates/head/linear_head.hpp>
#include <headgate/gates/score/elementwise.hpp>
#include <headgate/gates/score/softmax.hpp>
#include <headgate/gates/select/all_experts.hpp>
#include <headgate/gates/select/top_k.hpp>
#include <headgate/gates/weigh/raw.hpp>
#include <headgate/gates/weigh/renormalised.hpp>

#include <headgate/parallel/thread_pool.hpp>

#include "support/gate_checks.hpp"
#include "support/shuffled.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace hg = headgate;
using namespace headgate_test;

namespace {

using softmax_top_k = hg::gate<hg::linear_head<double>, hg::softmax, hg::top_k<>, hg::raw>;

softmax_top_k gate_of(hg::index model, hg::index experts, hg::index k) {
  return {.head = {.model = model, .experts = experts}, .score = {}, .select = {.k = k}, .weigh = {}};
}

/// A user's score whose slope at -infinity is infinite.
struct square {
  template <class V>
  [[nodiscard]] V value(V z) const {
    return z * z;
  }
  template <class V>
  [[nodiscard]] V derivative(V z) const {
    return z + z;
  }
};

/// A user's stage: every expert of even index.
struct even_experts {
  template <class T>
  hg::index operator()(const T*, hg::index experts, hg::index* ids) const {
    hg::index count = 0;
    for (hg::index e = 0; e < experts; e += 2) ids[count++] = e;
    return count;
  }
};

/// A user's stage that says it named `count` experts, whatever their number is.
struct these {
  std::vector<hg::index> named;
  hg::index count = 0;

  template <class T>
  hg::index operator()(const T*, hg::index, hg::index* ids) const {
    std::copy(named.begin(), named.end(), ids);
    return count;
  }
};

/// The same for a selection that says beforehand that it names two.
struct counting_these {
  std::vector<hg::index> named;
  hg::index names = 2;

  [[nodiscard]] hg::index count(hg::index) const { return 2; }
  template <class T>
  hg::index operator()(const T*, hg::index, hg::index* ids) const {
    std::copy(named.begin(), named.end(), ids);
    return names;
  }
};

}  // namespace

TEST_CASE("a gate runs its stages one after the other and records what they did", "[gates][gate]") {
  auto gate = copying(gate_of(3, 3, 2));
  const auto z = rows_of({{0, 1, 0.5}, {2, -1, 2}});
  const auto& r = gate(z);
  CHECK(r.tokens == 2);
  CHECK(r.experts == 3);
  CHECK(r.scores_are == hg::score_kind::distribution);
  const double sum = 1 + std::exp(1) + std::exp(0.5);
  CHECK(r.scores(0, 1) == Approx(std::exp(1) / sum).epsilon(1e-14));
  CHECK(hg::map_of(r.logits.block()) == z);
  CHECK(experts_of_token(r, 0) == std::vector<hg::index>{1, 2});
  CHECK(experts_of_token(r, 1) == std::vector<hg::index>{0, 2});  // a tie: the lower index first
  for (const auto& a : r.assignments) CHECK(a.weight == r.scores(a.token, a.expert));
}

TEST_CASE("gate{...} is deduced from its stages, a user's own among them", "[gates][gate]") {
  const hg::gate gate{hg::linear_head<double>{.model = 4, .experts = 5}, hg::softmax{}, even_experts{},
                      hg::renormalised{}};
  CHECK(gate.model() == 4);
  CHECK(gate.experts() == 5);
  CHECK(hg::testing::check_gate(gate));
  routed one(gate);
  CHECK(experts_of_token(one(random_matrix(1, 4, {1})), 0) == std::vector<hg::index>{0, 2, 4});
}

TEST_CASE("k = experts selects all of them, best first", "[gates][gate]") {
  auto gate = copying(gate_of(3, 3, 3));
  CHECK(experts_of_token(gate(rows_of({{0, 1, 0.5}})), 0) == std::vector<hg::index>{1, 2, 0});
}

TEST_CASE("no token and one token are batches like any other", "[gates][gate]") {
  routed gate(gate_of(4, 3, 2));
  CHECK(gate(hg::matrix<double>(0, 4)).assignments.empty());
  gate.backward(hg::matrix<double>(0, 4), hg::matrix<double>(0, 3));
  CHECK(gate.dp.head.weight.isZero(0));
  CHECK(gate(random_matrix(1, 4, {1})).assignments.size() == 2);
}

TEST_CASE("route without a pass is an evaluation on the calling thread", "[gates][gate]") {
  routed gate(gate_of(4, 3, 2));
  const auto x = random_matrix(5, 4, {2});
  const auto expected = dense_weights(gate(x));
  hg::routing<double> r;
  decltype(gate.cache) cache;
  gate.gate.route(gate.p, x, r, cache);
  CHECK(dense_weights(r) == expected);
}

TEST_CASE("backward adds what losses put on scores and logits", "[gates][gate]") {
  auto gate = copying(gate_of(3, 3, 1));
  const auto x = rows_of({{0.3, 1, -2}});
  gate(x);
  gate.backward_of(x, [](const auto&, auto& d) {
    d.logits(0, 2) += 5;
    return 0.0;
  });
  CHECK(gate.dx == rows_of({{0, 0, 5}}));
  gate.backward_of(x, [](const auto&, auto& d) {
    d.scores(0, 1) += 1;
    return 0.0;
  });
  const auto& s = gate.r.scores;
  CHECK(gate.dx(0, 0) == Approx(-s(0, 0) * s(0, 1)));
  CHECK(gate.dx(0, 1) == Approx(s(0, 1) * (1 - s(0, 1))));
}

TEST_CASE("a gate refuses sizes that make no sense, with both numbers", "[gates][gate]") {
  CHECK_THROWS_WITH(gate_of(0, 3, 1).check(), "gate: model is 0, it must be at least 1");
  CHECK_THROWS_WITH(gate_of(4, 0, 1).check(), "gate: experts is 0, it must be at least 1");
  CHECK_THROWS_WITH(gate_of(4, -2, 1).check(), "gate: experts is -2, it must be at least 1");
  CHECK_THROWS_WITH(gate_of(4, 3, 4).check(), "top_k: k is 4, the gate has 3 experts");
  routed gate(gate_of(4, 3, 2));
  gate.gate.select.k = 4;  // options may change between passes, so they are checked in each
  CHECK_THROWS_WITH(gate(random_matrix(2, 4, {3})), "top_k: k is 4, the gate has 3 experts");
  gate.gate.select.k = 2;
  CHECK_THROWS_WITH(gate(random_matrix(2, 5, {3})), "gate::route: x has 5 columns, the gate was built for model = 4");
}

TEST_CASE("a gate refuses logits that are NaN or plus infinity, naming token and expert, and works again afterwards",
          "[gates][gate]") {
  routed gate(gate_of(1, 3, 2));
  gate.p.head.weight << 1, 2, 3;
  const auto x = rows_of({{1}, {-1}, {2}});
  const auto expected = dense_weights(gate(x));

  gate.p.head.weight(1, 0) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(gate(x), contains("the router logit of token 0 for expert 1 is") &&
                                 contains("nan, logits must be finite, or -inf for an expert that is switched off"));
  gate.p.head.weight(1, 0) = 1e308;  // 2e308 is infinite
  CHECK_THROWS_WITH(gate(x), contains("the router logit of token 2 for expert 1 is inf, logits must be finite"));
  CHECK_NOTHROW(gate(rows_of({{1}, {-2}})));  // -inf
  CHECK_THROWS_WITH(gate(rows_of({{-2}, {2}})), contains("token 1 for expert 1 is inf"));

  gate.p.head.weight(1, 0) = 2;
  CHECK(dense_weights(gate(x)) == expected);
  gate.backward(x, hg::matrix<double>::Ones(3, 3));
  CHECK(gate.dp.head.weight.allFinite());
}

TEST_CASE(
    "a gate refuses a selection of too many experts, of less than none, of one that does not exist or of one twice",
    "[gates][gate]") {
  routed gate(hg::gate{hg::linear_head<double>{.model = 2, .experts = 3}, hg::softmax{}, these{}, hg::raw{}});
  const auto x = random_matrix(2, 2, {1});
  const auto params_before = gate.p.head.weight;
  const auto said = [&](std::vector<hg::index> named, hg::index count) {
    gate.gate.select = {std::move(named), count};
    try {
      gate(x);
    } catch (const std::invalid_argument& e) {
      CHECK(gate.p.head.weight == params_before);
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(said({0, 1, 2}, 4) == "gate::route: the selection names 4 experts for token 0, the gate has 3");
  CHECK(said({}, -1) == "gate::route: the selection names -1 experts for token 0, the gate has 3");
  CHECK(said({0, 3}, 2) == "gate::route: the selection names expert 3 for token 0, the gate has 3");
  CHECK(said({-1}, 1) == "gate::route: the selection names expert -1 for token 0, the gate has 3");
  CHECK(said({2, 0, 2}, 3) == "gate::route: the selection names expert 2 twice for token 0");
  CHECK(said({1, 1}, 2) == "gate::route: the selection names expert 1 twice for token 0");
  CHECK(said({}, 0).empty());
  CHECK(said({2, 0, 1}, 3).empty());  // each token may name what another named
  CHECK(experts_of_token(gate.r, 1) == std::vector<hg::index>{2, 0, 1});
  CHECK(said({2}, 1).empty());  // and each pass what the last one named
}

TEST_CASE("a gate routes from logits that somebody else wrote", "[gates][gate]") {
  const auto gate = gate_of(4, 3, 2);
  routed whole(gate);
  const auto x = random_matrix(5, 4, {2});
  const auto expected = dense_weights(whole(x));
  hg::routing<double> r;
  r.reset(5, 3);
  std::copy_n(whole.r.logits.data(), 15, r.logits.resize(5, 3).data);
  decltype(whole.cache) cache;
  hg::scratch<double> memory;
  gate.route_logits(whole.p, x, r, cache, hg::pass<double>{hg::run_sequentially, memory});
  CHECK(dense_weights(r) == expected);
  gate.route_logits(whole.p, x, r, cache, hg::pass<double>{hg::run_sequentially, memory});
  CHECK(dense_weights(r) == expected);  // the record need not be empty
  const hg::gate ragged{gate.head, hg::softmax{}, even_experts{}, hg::raw{}};
  decltype(ragged)::cache of_ragged;
  for (int pass = 0; pass < 2; ++pass)
    ragged.route_logits({whole.p.head, {}, {}}, x, r, of_ragged, hg::pass<double>{hg::run_sequentially, memory});
  CHECK(r.assignments.size() == 5 * 2);
  r.tokens = 4;
  CHECK_THROWS_WITH(gate.route_logits(whole.p, x, r, cache, hg::pass<double>{hg::run_sequentially, memory}),
                    "gate::route_logits: the record holds 5 x 3 logits, they must be 4 x 3");
}

TEST_CASE("a selection that tells its count is held to it, and still to naming experts once", "[gates][gate]") {
  counting_these select;
  routed gate(hg::gate{hg::linear_head<double>{.model = 2, .experts = 3}, hg::softmax{}, select, hg::raw{}});
  const auto x = random_matrix(2, 2, {1});
  const auto said = [&](std::vector<hg::index> named, hg::index count) {
    gate.gate.select.named = std::move(named);
    gate.gate.select.names = count;
    try {
      gate(x);
    } catch (const std::invalid_argument& e) {
      CHECK(gate.r.assignments.empty());
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(said({0}, 1) == "gate::route: the selection names 1 experts for token 0, it promised 2");
  CHECK(said({0, 1, 2}, 3) == "gate::route: the selection names 3 experts for token 0, it promised 2");
  CHECK(said({0, 1, 2}, 4) == "gate::route: the selection names 4 experts for token 0, the gate has 3");
  CHECK(said({0, 3}, 2) == "gate::route: the selection names expert 3 for token 0, the gate has 3");
  CHECK(said({1, 1}, 2) == "gate::route: the selection names expert 1 twice for token 0");
  CHECK(said({2, 0}, 2).empty());
  CHECK(experts_of_token(gate.r, 1) == std::vector<hg::index>{2, 0});
}

TEST_CASE("with any executor the first bad token of a large batch is refused", "[gates][gate]") {
  routed gate(gate_of(3, 3, 2));
  const hg::index tokens = 9000;  // several tasks
  const hg::matrix<double> x = random_matrix(tokens, 3, {4});
  gate.r.reset(tokens, 3);
  std::copy_n(x.data(), x.size(), gate.r.logits.resize(tokens, 3).data);
  const auto said = [&](const auto& executor) {
    hg::scratch<double> memory;
    try {
      gate.gate.route_logits(gate.p, x, gate.r, gate.cache,
                             hg::pass<double, std::remove_cvref_t<decltype(executor)>>{executor, memory});
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  const hg::thread_pool pool(3);
  CHECK(said(pool).empty());
  for (const hg::index token : {8999, 6200, 2731}) {
    gate.r.logits(token, 0) = -std::numeric_limits<double>::infinity();
    gate.r.logits(token, 1) = std::numeric_limits<double>::infinity();
    const std::string expected =
        hg::sentence("gate::route: the router logit of token ", token,
                     " for expert 1 is inf, logits must be finite, or -inf for an expert that is switched off");
    CHECK(said(hg::run_sequentially) == expected);
    CHECK(said(pool) == expected);
    CHECK(said(shuffled{3, 5}) == expected);
  }
}

TEST_CASE("an expert whose logit is minus infinity is switched off", "[gates][gate]") {
  constexpr double off = -std::numeric_limits<double>::infinity();
  // Expert 1 has the highest bias, expert 2 the highest score that a selection sees.
  hg::gate stages{hg::linear_head<double>{.model = 4, .experts = 4}, hg::sigmoid_score{},
                  hg::biased_top_k<double>{.k = 2}, hg::renormalised{}};
  routed gate(stages);
  const hg::matrix<double> x = hg::matrix<double>::Ones(3, 4);
  gate.p.select.selection_bias << 0, 9, 0, 0;
  gate.r.reset(3, 4);
  const auto z = rows_of({{-800, off, 1, off}, {off, off, off, off}, {-1, 0, 1, 2}});
  std::copy_n(z.data(), z.size(), gate.r.logits.resize(3, 4).data);
  hg::scratch<double> memory;
  const hg::pass<double> pass{hg::run_sequentially, memory};
  gate.gate.route_logits(gate.p, x, gate.r, gate.cache, pass);
  // Before what is switched off comes even a score of 0.
  CHECK(experts_of_token(gate.r, 0) == std::vector<hg::index>{2, 0});
  CHECK(experts_of_token(gate.r, 1).empty());
  CHECK(experts_of_token(gate.r, 2) == std::vector<hg::index>{1, 3});
  const auto w = dense_weights(gate.r);
  CHECK(w.row(0) == rows_of({{0, 0, 1, 0}}));
  CHECK(w(2, 1) == Approx(0.5 / (0.5 + 1 / (1 + std::exp(-2)))));

  gate.d.reset(gate.r);
  for (hg::index i = 0; i < gate.d.weights.size(); ++i) gate.d.weights.data()[i] = 1 + static_cast<double>(i);
  gate.dx = hg::matrix<double>::Zero(3, 4);
  gate.dp.head.weight.setZero(4, 4);
  gate.gate.backward(gate.p, x, gate.r, gate.cache, gate.d, gate.dx, gate.dp, pass);
  CHECK(gate.dx.allFinite());
  CHECK(gate.dp.head.weight.allFinite());
  CHECK(gate.dx.row(1).isZero(0));
  CHECK(gate.d.logits(0, 1) == 0);
  CHECK(gate.d.logits(2, 1) != 0);

  // Where fewer than k are on, those are named, and a selection without a count may name them all.
  const auto few = rows_of({{off, off, off, 0.5}, {-1, 0, 1, 2}, {off, 2, off, 1}});
  std::copy_n(few.data(), few.size(), gate.r.logits.data());
  gate.gate.route_logits(gate.p, x, gate.r, gate.cache, pass);
  CHECK(experts_of_token(gate.r, 0) == std::vector<hg::index>{3});
  CHECK(gate.r.assignments[0].weight == 1);
  CHECK(experts_of_token(gate.r, 2) == std::vector<hg::index>{1, 3});
  CHECK(gate.r.assignments.size() == 5);
  const hg::gate dense{gate.gate.head, hg::sigmoid_score{}, hg::all_experts{}, hg::raw{}};
  decltype(dense)::cache of_dense;
  dense.route_logits({gate.p.head, {}, {}}, x, gate.r, of_dense, pass);
  CHECK(gate.r.assignments.size() == 7);
  CHECK(experts_of_token(gate.r, 2) == std::vector<hg::index>{1, 3});
}

TEST_CASE("a slope that is infinite where an expert is off gives no gradient, steered or not", "[gates][gate]") {
  constexpr double off = -std::numeric_limits<double>::infinity();
  using stages = hg::gate<hg::linear_head<double, hg::dynamic, hg::dynamic, hg::biases::used>,
                          hg::elementwise_score<square, hg::score_kind::logits>, hg::top_k<>, hg::raw>;
  routed gate(stages{.head = {.model = 3, .experts = 4}, .score = {}, .select = {.k = 2}, .weigh = {}});
  const auto x = random_matrix(5, 3, {8});
  gate.p.head.bias << 0, off, 0, 0;
  const auto& r = gate(x);
  for (const auto& a : r.assignments) CHECK(a.expert != 1);
  gate.backward(x, hg::matrix<double>::Ones(5, 4));
  CHECK(gate.dx.allFinite());
  CHECK(gate.dx.norm() > 0);
  CHECK(gate.dp.head.weight.allFinite());
  CHECK(gate.dp.head.weight.row(1).isZero(0));
  CHECK(gate.dp.head.bias(0, 1) == 0);
  gate.p.head.bias.setZero();  // and the next pass is one without
  gate(x);
  gate.backward(x, hg::matrix<double>::Ones(5, 4));
  CHECK(gate.dp.head.weight.row(1).norm() > 0);
}

TEST_CASE("what is off is dropped alike by any executor", "[gates][gate]") {
  routed gate(gate_of(3, 3, 2));
  const hg::index tokens = 9000;  // several tasks
  const hg::matrix<double> x = random_matrix(tokens, 3, {4});
  const auto run = [&](const auto& executor) {
    hg::scratch<double> memory;
    gate.r.reset(tokens, 3);
    std::copy_n(x.data(), x.size(), gate.r.logits.resize(tokens, 3).data);
    for (hg::index e = 0; e < 3; ++e) gate.r.logits(5000, e) = -std::numeric_limits<double>::infinity();
    for (const hg::index t : {0, 3000, 8999}) gate.r.logits(t, 0) = gate.r.logits(t, 2) = gate.r.logits(5000, 0);
    gate.gate.route_logits(gate.p, x, gate.r, gate.cache,
                           hg::pass<double, std::remove_cvref_t<decltype(executor)>>{executor, memory});
    CHECK(gate.r.assignments.size() == 2 * tokens - 5);
    CHECK(gate.cache.first[tokens] == 2 * tokens - 5);
    CHECK(experts_of_token(gate.r, 5000).empty());
    CHECK(experts_of_token(gate.r, 8999) == std::vector<hg::index>{1});
    return dense_weights(gate.r);
  };
  const hg::thread_pool pool(3);
  const auto expected = run(hg::run_sequentially);
  CHECK(run(pool) == expected);
  CHECK(run(shuffled{3, 5}) == expected);
}

TEST_CASE("a token's routing has the same bits beside tokens with experts switched off", "[gates][gate]") {
  routed gate(gate_of(5, 5, 3));
  const auto x = random_matrix(4, 5, {1});
  const auto expected = dense_weights(gate(x));
  gate.r.logits(2, 1) = -std::numeric_limits<double>::infinity();
  hg::scratch<double> memory;
  gate.gate.route_logits(gate.p, x, gate.r, gate.cache, hg::pass<double>{hg::run_sequentially, memory});
  const auto w = dense_weights(gate.r);
  for (const hg::index t : {0, 1, 3}) CHECK(w.row(t) == expected.row(t));
  CHECK(w(2, 1) == 0);
}

TEST_CASE("the fields of a gate are those of its stages", "[gates][gate]") {
  using full =
      hg::gate<hg::linear_head<double, 4, 3, hg::biases::used>, hg::softmax, hg::biased_top_k<double, 2>, hg::raw>;
  routed gate(full{});
  hg::field_path path;
  std::string trained, stored;
  const auto append = [](std::string& text) {
    return [&text](std::string_view name, const auto&) { text += std::string(name) + " "; };
  };
  auto to_trained = append(trained), to_stored = append(stored);
  hg::for_each_field<full, hg::fields_of::training>(path, to_trained, gate.p);
  hg::for_each_field<full, hg::fields_of::storage>(path, to_stored, gate.p);
  CHECK(trained == "weight bias ");
  CHECK(stored == "weight bias selection_bias ");
}
