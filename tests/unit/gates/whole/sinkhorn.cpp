// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/whole/sinkhorn.hpp>

#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/losses/switch_balance.hpp>
#include <headgate/packed_layer.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include "support/gate_checks.hpp"
#include "support/layer_checks.hpp"
#include "support/shuffled.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

namespace hg = headgate;
using namespace headgate_test;

namespace {

using base = hg::sinkhorn_gate<double>;
using softmax_form = hg::sinkhorn<hg::softmax_topk_gate<double>>;
constexpr double off = -std::numeric_limits<double>::infinity();
static_assert(hg::trainable_gate<base> && hg::contextual_gate<base>);

base gate_of(hg::index model, hg::index experts, hg::index k = 1) {
  return {.gate = {.head = {.model = model, .experts = experts}, .select = {.k = k}}};
}
base precise(base gate) {
  gate.tolerance = 1e-13;
  gate.most_iterations = 5000;
  return gate;
}

/// Routes z itself, in training unless said otherwise.
template <class Gate>
struct direct {
  Gate gate;
  typename Gate::params p;
  typename Gate::cache cache;
  hg::routing<double> r;

  explicit direct(const Gate& with) : gate(with) {
    std::mt19937_64 generator(1);
    p = gate.init(generator);
    p.head.weight.setIdentity();
  }
  template <class Executor = hg::sequential>
  const hg::routing<double>& operator()(const hg::matrix<double>& z, const hg::steering<double>* how = nullptr,
                                        const Executor& executor = {}, bool training = true) {
    hg::scratch<double> memory;
    gate.route(p, z, r, cache, hg::pass<double, Executor>{executor, memory, training, {}, how});
    return r;
  }
  const hg::routing<double>& evaluation(const hg::matrix<double>& z) {
    return (*this)(z, nullptr, hg::sequential{}, false);
  }
  /// The plan of the last bias: rows that sum to 1 / tokens.
  [[nodiscard]] hg::matrix<double> plan(const hg::matrix<double>& z) const {
    hg::matrix<double> result = z;
    for (hg::index t = 0; t < z.rows(); ++t) {
      double most = off;
      for (hg::index e = 0; e < z.cols(); ++e) result(t, e) += cache.balance.bias[e];
      for (hg::index e = 0; e < z.cols(); ++e) most = (std::max)(most, result(t, e));
      result.row(t) = (result.row(t).array() - most).exp();
      result.row(t) /= result.row(t).sum() * static_cast<double>(z.rows());
    }
    return result;
  }
};
template <class Gate>
direct(Gate) -> direct<Gate>;

/// Megatron-Core's form in plain loops: exp(z), then row and column factors in turn.
hg::matrix<double> plan_by_factors(const hg::matrix<double>& z, int iterations) {
  const hg::index n = z.rows(), m = z.cols();
  std::vector<double> d0(static_cast<std::size_t>(n), 1.0), d1(static_cast<std::size_t>(m), 1.0);
  for (int i = 0; i < iterations; ++i) {
    for (hg::index t = 0; t < n; ++t) {
      double sum = 0;
      for (hg::index e = 0; e < m; ++e) sum += d1[static_cast<std::size_t>(e)] * std::exp(z(t, e));
      d0[static_cast<std::size_t>(t)] = 1 / (static_cast<double>(n) * sum);
    }
    for (hg::index e = 0; e < m; ++e) {
      double sum = 0;
      for (hg::index t = 0; t < n; ++t) sum += d0[static_cast<std::size_t>(t)] * std::exp(z(t, e));
      d1[static_cast<std::size_t>(e)] = 1 / (static_cast<double>(m) * sum);
    }
  }
  hg::matrix<double> plan(n, m);
  for (hg::index t = 0; t < n; ++t)
    for (hg::index e = 0; e < m; ++e)
      plan(t, e) = d0[static_cast<std::size_t>(t)] * std::exp(z(t, e)) * d1[static_cast<std::size_t>(e)];
  return plan;
}

std::vector<hg::index> best_of_row(const hg::matrix<double>& plan, hg::index t, hg::index k) {
  std::vector<hg::index> ids;
  for (hg::index e = 0; e < plan.cols(); ++e) ids.push_back(e);
  std::stable_sort(ids.begin(), ids.end(), [&](hg::index a, hg::index b) { return plan(t, a) > plan(t, b); });
  ids.resize(static_cast<std::size_t>(k));
  return ids;
}

/// Logits that all prefer expert 0, with a preference of their own.
hg::matrix<double> lopsided(hg::index tokens, hg::index experts, double lean, std::uint64_t seed) {
  hg::matrix<double> z = random_matrix(tokens, experts, {seed});
  for (hg::index e = 0; e < experts; ++e) z.col(e).array() -= lean * static_cast<double>(e);
  return z;
}

std::pair<hg::index, hg::index> least_and_most(const hg::routing<double>& r) {
  const auto load = r.load();
  return {*std::min_element(load.begin(), load.end()), *std::max_element(load.begin(), load.end())};
}

}  // namespace

TEST_CASE("sinkhorn keeps every promise of a gate", "[gates][whole][sinkhorn]") {
  for (const hg::index k : {1, 2, 4}) CHECK(hg::testing::check_gate(gate_of(6, 4, k)));
  CHECK(hg::testing::check_gate(gate_of(6, 1)));
  CHECK(hg::testing::check_gate(
      softmax_form{.gate = {.head = {.model = 6, .experts = 5}, .select = {.k = 2}}, .most_iterations = 3}));
  CHECK(hg::testing::check_gate(hg::sinkhorn_gate<double, 6, 4, 2>{}));
  CHECK(hg::testing::check_gate(
      hg::sinkhorn<hg::noisy_topk_gate<double>>{.gate = {.head = {.model = 6, .experts = 4}, .select = {.k = 2}}},
      {.random = {2}}));
  CHECK(hg::testing::check_gate(
      hg::sinkhorn_gate<float>{.gate = {.head = {.model = 6, .experts = 19}, .select = {.k = 3}}}));
}

TEST_CASE("sinkhorn's plan is balanced both ways, and is that of the factors in turn", "[gates][whole][sinkhorn]") {
  for (const hg::index tokens : {5, 64, 2500})
    for (const hg::index experts : {2, 7, 16}) {
      direct gate(precise(gate_of(experts, experts)));
      const auto z = lopsided(tokens, experts, 0.4, 3);
      gate(z);
      const auto plan = gate.plan(z);
      for (hg::index e = 0; e < experts; ++e)
        CHECK(plan.col(e).sum() == Approx(1.0 / static_cast<double>(experts)).epsilon(1e-12));
      const auto expected = plan_by_factors(z, 400);
      CHECK((plan - expected).cwiseAbs().maxCoeff() * static_cast<double>(tokens) < 1e-11);
    }
}

TEST_CASE("sinkhorn in training takes the k largest of the plan, with weights of the logits as they are",
          "[gates][whole][sinkhorn]") {
  for (const hg::index k : {1, 3}) {
    direct gate(precise(gate_of(6, 6, k)));
    direct summed(softmax_form{
        .gate = {.head = {.model = 6, .experts = 6}, .select = {.k = k}}, .tolerance = 1e-13, .most_iterations = 5000});
    const auto z = lopsided(150, 6, 1, 8);
    const auto plan = plan_by_factors(z, 1500);
    const auto &r = gate(z), &s = summed(z);
    hg::index elsewhere = 0;
    for (hg::index t = 0; t < 150; ++t) {
      const auto expected = best_of_row(plan, t, k);
      CHECK(experts_of_token(r, t) == expected);
      CHECK(experts_of_token(s, t) == expected);
      elsewhere += expected != best_of_row(z, t, k) ? 1 : 0;
      for (hg::index i = 0; i < k; ++i) {
        const auto &a = r.assignments[k * t + i], &b = s.assignments[k * t + i];
        CHECK(a.weight == Approx(1 / (1 + std::exp(-z(t, a.expert)))).epsilon(1e-14));
        CHECK(b.weight == Approx(std::exp(z(t, b.expert)) / z.row(t).array().exp().sum()).epsilon(1e-13));
      }
    }
    CHECK(elsewhere > 50);
    CHECK(hg::map_of(r.logits.block()) == z);
  }
}

TEST_CASE("sinkhorn in evaluation is its gate, each token on its own", "[gates][whole][sinkhorn]") {
  routed alone(hg::gate{hg::linear_head<double>{.model = 5, .experts = 6}, hg::logits_score{}, hg::top_k<>{.k = 2},
                        hg::sigmoid_of_selected{}});
  routed gate(gate_of(5, 6, 2));
  const auto x = random_matrix(30, 5, {2}), dg = random_matrix(30, 6, {3});
  CHECK(dense_weights(gate(x)) == dense_weights(alone(x)));
  gate.backward(x, dg);
  alone.backward(x, dg);
  CHECK(gate.dx == alone.dx);
  for (hg::index t = 0; t < 30; ++t) {
    const auto among = dense_weights(gate(x)).row(t).eval();
    CHECK(dense_weights(gate(x.row(t))) == among);
  }
}

TEST_CASE("sinkhorn is near balance where the best expert alone collapses", "[gates][whole][sinkhorn]") {
  const auto z = lopsided(4096, 8, 1.5, 5);  // expert 0 leads by 1.5 and more
  direct gate(gate_of(8, 8));
  const auto collapsed = least_and_most(gate.evaluation(z));
  CHECK(collapsed.second > 3 * 4096 / 8);
  CHECK(collapsed.first == 0);
  const auto even = least_and_most(gate(z));
  INFO("loads from " << even.first << " to " << even.second);
  CHECK(even.first > 410);
  CHECK(even.second < 640);
}

TEST_CASE("sinkhorn does not see a constant added to a token's logits", "[gates][whole][sinkhorn]") {
  direct gate(precise(gate_of(6, 6, 2)));
  const auto z = lopsided(80, 6, 1, 4);
  hg::matrix<double> moved = z;
  for (hg::index t = 0; t < 80; ++t) moved.row(t).array() += 8 * static_cast<double>(t % 7) - 20;
  gate(z);
  const auto bias = gate.cache.balance.bias;
  std::vector<std::vector<hg::index>> experts;
  for (hg::index t = 0; t < 80; ++t) experts.push_back(experts_of_token(gate.r, t));
  gate(moved);
  for (hg::index e = 0; e < 6; ++e) CHECK(std::abs(gate.cache.balance.bias[e] - bias[e]) < 1e-11);
  for (hg::index t = 0; t < 80; ++t) CHECK(experts_of_token(gate.r, t) == experts[static_cast<std::size_t>(t)]);
}

TEST_CASE("sinkhorn stops at its tolerance or at the most iterations, and says which", "[gates][whole][sinkhorn]") {
  const auto z = lopsided(500, 8, 1, 4);
  direct gate(gate_of(8, 8));
  gate(z);
  CHECK(gate.cache.balance.error <= 1e-4);
  CHECK(gate.cache.balance.iterations < 60);
  gate.gate.most_iterations = 2;
  gate(z);
  CHECK(gate.cache.balance.iterations == 2);
  CHECK(gate.cache.balance.error > 1e-4);
  CHECK(gate.r.assignments.size() == 500);
}

TEST_CASE("sinkhorn bears logits of 1e4 and a column of next to nothing", "[gates][whole][sinkhorn]") {
  direct gate(gate_of(4, 4, 2));
  const hg::matrix<double> z = 1e4 * random_matrix(200, 4, {6});
  const auto& r = gate(z);
  CHECK(r.assignments.size() == 400);
  for (hg::index e = 0; e < 4; ++e) CHECK(std::isfinite(gate.cache.balance.bias[e]));
  const auto of_large = least_and_most(r);
  CHECK(of_large.first > 60);
  CHECK(of_large.second < 140);

  // Expert 3 is 2000 below the others for all: exp of that is no number, but its share is as due as any.
  hg::matrix<double> far = random_matrix(400, 4, {6});
  far.col(3).array() -= 2000;
  direct top_1(precise(gate_of(4, 4)));
  const auto loads = top_1(far).load();
  const auto plan = top_1.plan(far);
  for (hg::index e = 0; e < 4; ++e) CHECK(plan.col(e).sum() == Approx(0.25).epsilon(1e-9));
  top_1.gate.most_iterations = 1;
  top_1(far);
  double sum = 0;  // of the column's shares after the first rows, e^2000 times as large
  for (hg::index t = 0; t < 400; ++t)
    sum += std::exp(far(t, 3) + 2000 - std::log(far.row(t).head(3).array().exp().sum()));
  CHECK(top_1.cache.balance.bias[3] == Approx(2000 - std::log(sum / 100)).epsilon(1e-14));
  top_1.gate.most_iterations = 5000;
  far.col(3).array() += 2000;
  const auto near = top_1(far).load();
  CHECK(std::equal(loads.begin(), loads.end(), near.begin()));
}

TEST_CASE("equal logits go to the lower experts, one token and one expert are no trouble", "[gates][whole][sinkhorn]") {
  direct gate(gate_of(5, 5, 2));
  gate(hg::matrix<double>::Constant(7, 5, -3.25));
  for (hg::index t = 0; t < 7; ++t) CHECK(experts_of_token(gate.r, t) == std::vector<hg::index>{0, 1});
  CHECK(gate(random_matrix(1, 5, {3})).assignments.size() == 2);
  CHECK(gate(hg::matrix<double>(0, 5)).assignments.empty());
  direct one(gate_of(1, 1));
  CHECK(one(random_matrix(9, 1, {3})).assignments.size() == 9);
  direct all(gate_of(4, 4, 4));
  const auto z = random_matrix(20, 4, {3});
  CHECK(all(z).assignments.size() == 80);
  const auto weights = dense_weights(all.r);
  CHECK(dense_weights(all.evaluation(z)) == weights);
}

TEST_CASE("experts and tokens that are off have no part in the plan", "[gates][whole][sinkhorn]") {
  const auto z = lopsided(60, 5, 1, 4);
  const auto mask = std::make_unique<bool[]>(60);
  hg::matrix<double> rest(40, 4);
  for (hg::index t = 0, next = 0; t < 60; ++t) {
    mask[static_cast<std::size_t>(t)] = t % 3 != 0;
    if (t % 3 == 0) continue;
    for (hg::index e = 0; e < 4; ++e) rest(next, e) = z(t, e < 2 ? e : e + 1);
    ++next;
  }
  const hg::steering<double> how{.off = {2}, .mask = {mask.get(), 60}};
  direct gate(precise(gate_of(5, 5, 2))), small(precise(gate_of(4, 4, 2)));
  const auto& r = gate(z, &how);
  const auto& s = small(rest);
  REQUIRE(r.assignments.size() == s.assignments.size());
  for (hg::index a = 0; a < s.assignments.size(); ++a) {
    const hg::index e = s.assignments[a].expert;
    CHECK(r.assignments[a].expert == (e < 2 ? e : e + 1));
    CHECK(r.assignments[a].weight == s.assignments[a].weight);
  }
  for (hg::index e = 0; e < 4; ++e)
    CHECK(gate.cache.balance.bias[e < 2 ? e : e + 1] == Approx(small.cache.balance.bias[e]).margin(1e-10));
  for (hg::index t = 0; t < 60; t += 3) CHECK(experts_of_token(r, t).empty());

  const hg::steering<double> most{.off = {0, 1, 3, 4}};
  CHECK(gate(z, &most).assignments.size() == 60);  // fewer than k
}

TEST_CASE("k and skip act on the balanced ranks, and forced experts are not balanced", "[gates][whole][sinkhorn]") {
  const auto z = lopsided(60, 5, 1, 4);
  direct gate(gate_of(5, 5, 2));
  const hg::steering<double> all{.k = 5}, middle{.k = 2, .skip = 1};
  std::vector<std::vector<hg::index>> ranks;
  gate(z, &all);
  for (hg::index t = 0; t < 60; ++t) ranks.push_back(experts_of_token(gate.r, t));
  gate(z, &middle);
  for (hg::index t = 0; t < 60; ++t) {
    const auto& row = ranks[static_cast<std::size_t>(t)];
    CHECK(experts_of_token(gate.r, t) == std::vector<hg::index>{row[1], row[2]});
  }
  const hg::steering<double> beyond{.k = 1, .skip = 2, .off = {0, 1, 2}};
  CHECK(refusal([&] { gate(z, &beyond); }) == "steering: token 0 has 2 experts that are on, skip is 2");
  CHECK(gate.r.assignments.empty());
  hg::recorded_pass<double> recorded(5, hg::record_weights::no);
  for (hg::index t = 0; t < 60; ++t) recorded.append(std::vector<hg::index>{4, t % 4}, {});
  const hg::steering<double> forced{.forced = &recorded};
  gate(z, &forced);
  for (hg::index t = 0; t < 60; ++t) CHECK(experts_of_token(gate.r, t) == std::vector<hg::index>{4, t % 4});
}

TEST_CASE("sinkhorn gives the same bits with any executor", "[gates][whole][sinkhorn]") {
  direct gate(gate_of(7, 7, 2));
  const auto z = lopsided(6000, 7, 0.5, 4);
  const auto alone = dense_weights(gate(z));
  const auto bias = gate.cache.balance.bias;
  const auto same_bias = [&] { return std::equal(bias.begin(), bias.end(), gate.cache.balance.bias.begin()); };
  CHECK(dense_weights(gate(z, nullptr, hg::thread_pool(3))) == alone);
  CHECK(same_bias());
  CHECK(dense_weights(gate(z, nullptr, shuffled{4, 2})) == alone);
  CHECK(same_bias());
}

TEST_CASE("sinkhorn refuses options that make no sense, and what its gate refuses", "[gates][whole][sinkhorn]") {
  auto gate = gate_of(4, 4);
  gate.tolerance = 0;
  CHECK(refusal([&] { gate.check(); }) == "sinkhorn: tolerance is 0, it must be finite and greater than 0");
  gate.tolerance = std::numeric_limits<double>::quiet_NaN();
  CHECK_THAT(refusal([&] { gate.check(); }), contains("nan, it must be finite"));
  gate = gate_of(4, 4);
  gate.most_iterations = 0;
  CHECK(refusal([&] { gate.check(); }) == "sinkhorn: most_iterations is 0, it must be at least 1");
  CHECK(refusal([] { gate_of(4, 4, 5).check(); }) == "top_k: k is 5, the gate has 4 experts");
  direct one(gate_of(4, 4));
  CHECK(refusal([&] { one(random_matrix(3, 5, {1})); }) ==
        "sinkhorn::route: x has 5 columns, the gate was built for model = 4");
  hg::matrix<double> z = random_matrix(3, 4, {1});
  z(2, 1) = std::numeric_limits<double>::infinity();
  CHECK_THAT(refusal([&] { one(z); }), contains("gate::route: the router logit of token 2 for expert "));
  CHECK(one.r.assignments.empty());
}

TEST_CASE("a layer of sinkhorn is trained by the plan and packed without it", "[gates][whole][sinkhorn]") {
  const hg::layer layer{hg::sinkhorn_gate<float>{.gate = {.head = {.model = 6, .experts = 4}, .select = {.k = 1}}},
                        hg::swiglu_expert<float>{.model = 6, .hidden = 5}, 3};
  const auto x = random_matrix<float>(50, 6, {1});
  hg::matrix<float> y, z;
  decltype(layer)::workspace memory;
  decltype(hg::layer{layer})::tape tape;
  layer.forward(x, y, memory);
  const hg::packed_layer packed{layer};
  typename decltype(packed)::workspace packed_memory;
  packed.forward(x, z, packed_memory);
  CHECK(same_matrix(y, z));
  layer.forward(x, z, tape);
  CHECK_FALSE(same_matrix(y, z));
  CHECK(tape.gate_cache.balance.error <= 1e-4);
}
