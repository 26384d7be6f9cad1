// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/whole/expert_choice.hpp>

#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/packed_layer.hpp>
#include <headgate/parallel/thread_pool.hpp>
#include <headgate/routing/telemetry.hpp>

#include "support/gate_checks.hpp"
#include "support/layer_checks.hpp"
#include "support/shuffled.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

namespace hg = headgate;
using namespace headgate_test;

namespace {

using expert_choice = hg::expert_choice<hg::linear_head<double>>;
constexpr double off = -std::numeric_limits<double>::infinity();
static_assert(hg::trainable_gate<expert_choice> && hg::contextual_gate<expert_choice>);

expert_choice gate_of(hg::index model, hg::index experts, const hg::capacity& capacity = {.factor = 2}) {
  return {.head = {.model = model, .experts = experts}, .capacity = capacity};
}

/// The paper's equations in plain loops: S = softmax(z) by row; of each column the c largest, ties to the lower token.
hg::matrix<double> chosen_by_definition(const hg::matrix<double>& z, hg::index c) {
  hg::matrix<double> s(z.rows(), z.cols()), g = hg::matrix<double>::Zero(z.rows(), z.cols());
  for (hg::index t = 0; t < z.rows(); ++t) {
    double sum = 0;
    for (hg::index e = 0; e < z.cols(); ++e) sum += std::exp(z(t, e));
    for (hg::index e = 0; e < z.cols(); ++e) s(t, e) = std::exp(z(t, e)) / sum;
  }
  for (hg::index e = 0; e < z.cols(); ++e) {
    std::vector<bool> taken(static_cast<std::size_t>(z.rows()), false);
    for (hg::index n = 0; n < (std::min)(c, z.rows()); ++n) {
      hg::index best = -1;
      for (hg::index t = 0; t < z.rows(); ++t)
        if (!taken[static_cast<std::size_t>(t)] && (best < 0 || s(t, e) > s(best, e))) best = t;
      taken[static_cast<std::size_t>(best)] = true;
      g(best, e) = s(best, e);
    }
  }
  return g;
}

/// Logits = x, and -inf where x is below -9.
struct masking_head : hg::linear_head<double> {
  template <class Pass>
  void forward(const params&, hg::in<double> x, hg::routing<double>& r, cache&, const Pass&) const {
    const hg::view<double> z = r.logits.resize(x.rows(), x.cols());
    for (hg::index t = 0; t < x.rows(); ++t)
      for (hg::index e = 0; e < x.cols(); ++e) z(t, e) = x(t, e) < -9 ? off : x(t, e);
  }
  template <class Pass>
  void backward(const params&, hg::in<double>, const hg::routing<double>&, hg::routing_gradient<double>& d, cache&,
                hg::out<double> dx, params&, const Pass&) const {
    dx += hg::map_of(d.logits.block());
  }
};

/// Routes z itself: a head that copies its input.
struct direct {
  expert_choice gate;
  expert_choice::params p;
  expert_choice::cache cache;
  hg::routing<double> r;

  explicit direct(const expert_choice& with) : gate(with) {
    std::mt19937_64 generator(1);
    p = gate.init(generator);
    p.head.weight.setIdentity();
  }
  template <class Executor = hg::sequential>
  const hg::routing<double>& operator()(const hg::matrix<double>& z, const hg::steering<double>* how = nullptr,
                                        const Executor& executor = {}) {
    hg::scratch<double> memory;
    gate.route(p, z, r, cache, hg::pass<double, Executor>{executor, memory, false, {}, how});
    return r;
  }
};

}  // namespace

TEST_CASE("expert_choice keeps every promise of a gate but the tokens' independence", "[gates][whole][expert_choice]") {
  for (const double factor : {0.3, 1.0, 2.0, 9.0})
    CHECK(hg::testing::check_gate(gate_of(6, 4, {.factor = factor}), {.rows_are_independent = false}));
  CHECK(hg::testing::check_gate(gate_of(6, 4, {.fixed = 3}), {.rows_are_independent = false}));
  CHECK(hg::testing::check_gate(gate_of(6, 1), {.rows_are_independent = false}));
  CHECK(hg::testing::check_gate(hg::expert_choice<hg::linear_head<double, 6, 5, hg::biases::used>>{},
                                {.rows_are_independent = false}));
  CHECK(hg::testing::check_gate(
      hg::expert_choice<hg::noisy_head<double>, hg::sigmoid_score>{.head = {.model = 6, .experts = 4}},
      {.rows_are_independent = false}));
  CHECK(hg::testing::check_gate(hg::expert_choice<hg::linear_head<float>>{.head = {.model = 6, .experts = 19}},
                                {.rows_are_independent = false}));
}

TEST_CASE("expert_choice is the paper's equations", "[gates][whole][expert_choice]") {
  for (const hg::index tokens : {1, 3, 8, 50, 333})
    for (const hg::index experts : {1, 2, 5, 8})
      for (const double factor : {0.5, 1.0, 2.0, 3.7}) {
        direct gate(gate_of(experts, experts, {.factor = factor}));
        const hg::matrix<double> z = 2 * random_matrix(tokens, experts, {static_cast<std::uint64_t>(tokens)});
        const auto c = static_cast<hg::index>(
            (std::max)(1.0, std::ceil(factor * static_cast<double>(tokens) / static_cast<double>(experts))));
        const auto expected = chosen_by_definition(z, c);
        const auto& r = gate(z);
        CHECK((dense_weights(r) - expected).cwiseAbs().maxCoeff() < 1e-15);
        CHECK(r.assignments.size() == experts * (std::min)(c, tokens));
        CHECK(r.scores_are == hg::score_kind::distribution);
        CHECK(std::is_sorted(r.assignments.begin(), r.assignments.end(), [](const auto& a, const auto& b) {
          return a.token < b.token || (a.token == b.token && a.expert < b.expert);
        }));
      }
}

TEST_CASE("expert_choice by hand: one token for each of two experts", "[gates][whole][expert_choice]") {
  const double ln3 = std::log(3.0);
  direct gate(gate_of(2, 2, {.factor = 1}));
  // S = (3/4, 1/4), (1/2, 1/2), (9/10, 1/10), (1/2, 1/2): c = 2
  const auto& r = gate(rows_of({{ln3, 0}, {1, 1}, {2 * ln3, 0}, {-5, -5}}));
  hg::matrix<double> expected(4, 2);
  expected << 0.75, 0, 0, 0.5, 0.9, 0, 0, 0.5;
  CHECK((dense_weights(r) - expected).cwiseAbs().maxCoeff() < 1e-15);
  CHECK(r.load()[0] == 2);
}

TEST_CASE("a token may have all experts, or none", "[gates][whole][expert_choice]") {
  auto gate = copying(hg::expert_choice<hg::linear_head<double>, hg::sigmoid_score>{.head = {.model = 3, .experts = 3},
                                                                                    .capacity = {.factor = 1}});
  const auto& r = gate(rows_of({{1, 1, 1}, {5, 6, 7}, {2, 2, 2}}));  // c = 1
  CHECK(experts_of_token(r, 0).empty());
  CHECK(experts_of_token(r, 1) == std::vector<hg::index>{0, 1, 2});
  CHECK(experts_of_token(r, 2).empty());
}

TEST_CASE("equal scores go to the lower tokens", "[gates][whole][expert_choice]") {
  direct gate(gate_of(4, 4, {.factor = 2}));
  const auto& r = gate(hg::matrix<double>::Constant(10, 4, 0.3));  // c = 5
  for (hg::index t = 0; t < 10; ++t) CHECK(experts_of_token(r, t).size() == (t < 5 ? 4U : 0U));
}

TEST_CASE("experts that take all tokens make a dense softmax gate", "[gates][whole][expert_choice]") {
  routed dense(hg::softmax_gate<double>{.head = {.model = 5, .experts = 4}});
  routed gate(gate_of(5, 4, {}));
  const auto x = random_matrix(9, 5, {2}), dg = random_matrix(9, 4, {3});
  CHECK(dense_weights(gate(x)) == dense_weights(dense(x)));
  gate.backward(x, dg);
  dense.backward(x, dg);
  CHECK(gate.dx == dense.dx);
  CHECK(gate.dp.head.weight == dense.dp.head.weight);
}

TEST_CASE("the share of an expert is rounded as its capacity says, and is never more than all tokens",
          "[gates][whole][expert_choice]") {
  const auto each = [](const hg::capacity& capacity, hg::index tokens) {
    direct gate(gate_of(4, 4, capacity));
    const auto load = gate(random_matrix(tokens, 4, {7})).load();
    CHECK(std::all_of(load.begin(), load.end(), [&](hg::index one) { return one == load[0]; }));
    return load[0];
  };
  CHECK(each({.factor = 1}, 10) == 3);
  CHECK(each({.factor = 1, .round = hg::rounding::down}, 10) == 2);
  CHECK(each({.factor = 0.1}, 10) == 1);
  CHECK(each({.factor = 0.1, .minimum = 4}, 10) == 4);
  CHECK(each({.minimum = 4, .fixed = 6}, 10) == 6);
  CHECK(each({.fixed = 60}, 10) == 10);
  CHECK(each({.factor = 100}, 10) == 10);
}

TEST_CASE("a share of tokens that is a whole number for the factor as it is written is not rounded up",
          "[gates][whole][expert_choice]") {
  direct gate(gate_of(10, 10, {.factor = 1.1}));
  for (const hg::index one : gate(random_matrix(100, 10, {7})).load())
    CHECK(one == 11);  // eq. 1; 12 with two roundings
}

TEST_CASE("expert_choice does not care about the order of the tokens", "[gates][whole][expert_choice]") {
  direct gate(gate_of(6, 6));
  const auto z = random_matrix(40, 6, {9});
  const auto straight = dense_weights(gate(z));
  CHECK(dense_weights(gate(z.colwise().reverse().eval())) == straight.colwise().reverse());
}

TEST_CASE("tokens that do not count are as good as absent for the experts", "[gates][whole][expert_choice]") {
  constexpr hg::index tokens = 30, experts = 4;
  const auto z = random_matrix(tokens, experts, {4});
  const auto mask = std::make_unique<bool[]>(tokens);
  hg::matrix<double> counting(20, experts);
  for (hg::index t = 0, next = 0; t < tokens; ++t) {
    mask[static_cast<std::size_t>(t)] = t % 3 != 1;
    if (t % 3 != 1) counting.row(next++) = z.row(t);
  }
  const hg::steering<double> padded{.mask = {mask.get(), tokens}};
  direct gate(gate_of(experts, experts, {.factor = 1}));
  const auto alone = dense_weights(gate(counting)), among = dense_weights(gate(z, &padded));
  CHECK(gate.r.load()[0] == 5);  // of 20, not of 30
  for (hg::index t = 0, next = 0; t < tokens; ++t)
    if (t % 3 == 1)
      CHECK((among.row(t).array() == 0).all());
    else
      CHECK(among.row(t) == alone.row(next++));
  const auto none = std::make_unique<bool[]>(tokens);
  const hg::steering<double> nobody{.mask = {none.get(), tokens}};
  CHECK(gate(z, &nobody).assignments.empty());
}

TEST_CASE("an expert never takes a token that it is off for, and may find fewer than its share",
          "[gates][whole][expert_choice]") {
  routed gate(hg::expert_choice<masking_head>{.head = {{.model = 2, .experts = 2}}, .capacity = {.factor = 1.5}});
  const auto x = rows_of({{0, -10}, {0, -10}, {-10, -10}, {1, 0}});  // c = ceil(1.5 * 3 / 2) = 3
  const auto& r = gate(x);
  CHECK(r.load()[0] == 3);
  CHECK(r.load()[1] == 1);
  CHECK(dense_weights(r)(0, 0) == 1);
  CHECK(experts_of_token(r, 2).empty());
  gate.backward(x, hg::matrix<double>::Ones(4, 2));
  CHECK(gate.dx.allFinite());
  CHECK((gate.dx.row(2).array() == 0).all());
}

TEST_CASE("expert_choice gives the same bits with any executor", "[gates][whole][expert_choice]") {
  direct gate(gate_of(7, 7));
  const auto z = random_matrix(6000, 7, {4});
  const auto alone = dense_weights(gate(z));
  CHECK(dense_weights(gate(z, nullptr, hg::thread_pool(3))) == alone);
  CHECK(dense_weights(gate(z, nullptr, shuffled{4, 2})) == alone);
}

TEST_CASE("expert_choice refuses what its parts refuse, and steering that is not for it",
          "[gates][whole][expert_choice]") {
  CHECK(refusal([] { gate_of(5, 0).check(); }) == "gate: experts is 0, it must be at least 1");
  CHECK(refusal([] { gate_of(5, 4, {.factor = -1}).check(); }) == "capacity: factor is -1, it must be greater than 0");
  direct gate(gate_of(4, 4));
  CHECK(refusal([&] { gate(random_matrix(3, 5, {1})); }) ==
        "expert_choice::route: x has 5 columns, the gate was built for model = 4");
  auto z = random_matrix(3, 4, {1});
  z(1, 2) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THAT(refusal([&] { gate(z); }), contains("gate::route: the router logit of token 1 for expert "));
  CHECK(gate.r.assignments.empty());
  const hg::steering<double> ranks{.k = 2}, without{.off = {1}};
  CHECK(refusal([&] { gate(random_matrix(3, 4, {1}), &ranks); }) ==
        "expert_choice: steering sets k, skip or forced, this gate can only switch experts off");
  CHECK(gate(random_matrix(8, 4, {1}), &without).load()[1] == 0);
  CHECK(gate.r.load()[0] == 4);
}

TEST_CASE("a layer of expert_choice, its packed form and its telemetry", "[gates][whole][expert_choice]") {
  const hg::layer layer{hg::expert_choice_gate<float>{.head = {.model = 6, .experts = 4}},
                        hg::swiglu_expert<float>{.model = 6, .hidden = 5}, 3};
  const auto x = random_matrix<float>(21, 6, {1});
  hg::matrix<float> y, z;
  decltype(layer)::workspace memory;
  layer.forward(x, y, memory);
  CHECK(memory.plan.dropped() == 0);
  CHECK(memory.plan.slots() == 4 * 11);
  const hg::packed_layer packed{layer};
  typename decltype(packed)::workspace packed_memory;
  packed.forward(x, z, packed_memory);
  CHECK(same_matrix(y, z));
  hg::routing_telemetry telemetry;
  telemetry.add(memory.routing, memory.plan);
  for (hg::index e = 0; e < 4; ++e) CHECK(telemetry.load(e) == 11);
}
