// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/whole/sparsemixer.hpp>

#include <headgate/experts/linear.hpp>
#include <headgate/gates/head/linear_head.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/losses/switch_balance.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include "support/gate_checks.hpp"
#include "support/shuffled.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace hg = headgate;
using namespace headgate_test;

namespace {

using sparsemixer = hg::sparsemixer<hg::linear_head<double>>;
constexpr double off = -std::numeric_limits<double>::infinity();
static_assert(hg::trainable_gate<sparsemixer> && hg::contextual_gate<sparsemixer>);

sparsemixer gate_of(hg::index model, hg::index experts, double jitter) {
  return {.head = {.model = model, .experts = experts}, .jitter = jitter};
}

/// One round of the definition: the probabilities of the experts that are left, `taken` (-1 for none) left out.
std::vector<double> round_of(const std::vector<double>& s, hg::index taken, double jitter) {
  const std::size_t n = s.size();
  const auto out = [&](std::size_t j) { return static_cast<hg::index>(j) == taken; };
  double m = off;
  for (std::size_t j = 0; j < n; ++j)
    if (!out(j)) m = (std::max)(m, s[j]);
  std::vector<double> g(n, 0.0);
  double sum = 0;
  for (std::size_t j = 0; j < n; ++j) {
    double factor = std::abs(s[j]);
    if (factor < m) factor = m;
    if (out(j) || (m - s[j]) / factor > 2 * jitter) continue;
    g[j] = std::exp(s[j] - m);
    sum += g[j];
  }
  for (double& one : g) one /= sum;
  return g;
}

std::vector<double> row_of(const hg::matrix<double>& z, hg::index t) {
  return {z.row(t).data(), z.row(t).data() + z.cols()};
}

hg::index best_of(const std::vector<double>& g) { return std::max_element(g.begin(), g.end()) - g.begin(); }

}  // namespace

TEST_CASE("sparsemixer keeps every promise of a gate", "[gates][whole][sparsemixer]") {
  for (const double jitter : {0.0, 0.01, 0.15, 0.8, 5.0})
    CHECK(hg::testing::check_gate(gate_of(6, 5, jitter), {.differentiable_in_training = false}));
  CHECK(hg::testing::check_gate(hg::sparsemixer<hg::linear_head<double, 6, 2, hg::biases::used>>{.jitter = 0.3},
                                {.differentiable_in_training = false}));
  CHECK(hg::testing::check_gate(hg::sparsemixer<hg::linear_head<float>>{.head = {.model = 6, .experts = 19}}));
}

TEST_CASE("sparsemixer in evaluation does the two rounds of its definition", "[gates][whole][sparsemixer]") {
  for (const double shift : {-3.0, 0.0, 3.0})  // all logits negative, mixed, all positive
    for (const double jitter : {0.0, 0.15, 0.6}) {
      auto gate = copying(gate_of(6, 6, jitter));
      const hg::matrix<double> z = random_matrix(40, 6, {3}).array() + shift;
      const auto& r = gate(z);
      REQUIRE(r.assignments.size() == 80);
      CHECK(r.scores_are == hg::score_kind::logits);
      CHECK(hg::map_of(r.logits.block()) == z);
      for (hg::index t = 0; t < 40; ++t) {
        const auto first = round_of(row_of(z, t), -1, jitter);
        const auto second = round_of(row_of(z, t), best_of(first), jitter);
        const auto &a = r.assignments[2 * t], &b = r.assignments[2 * t + 1];
        CHECK(a.expert == best_of(first));
        CHECK(b.expert == best_of(second));
        CHECK(a.weight == Approx(first[static_cast<std::size_t>(a.expert)]).epsilon(1e-14));
        CHECK(b.weight == Approx(second[static_cast<std::size_t>(b.expert)]).epsilon(1e-14));
      }
    }
}

TEST_CASE("sparsemixer keeps a logit by its distance from the largest, taken relative to the larger of |s| and that",
          "[gates][whole][sparsemixer]") {
  const auto weights = [](const std::vector<double>& row) {
    auto gate = copying(gate_of(3, 3, 0.15));
    const auto& r = gate(rows_of({{row[0], row[1], row[2]}}));
    return std::vector<double>{r.assignments[0].weight, r.assignments[1].weight};
  };
  const double half = 0.5;
  // 10 keeps what is at least 7, and so does a threshold of 7 / 10 among negative ones: -7 keeps what is above -10.
  CHECK(weights({10, 6.9, 1})[0] == 1);
  CHECK(weights({10, 7.1, 1})[0] == Approx(1 / (1 + std::exp(-2.9))));
  CHECK(weights({-7, -9.9, -30})[0] == Approx(1 / (1 + std::exp(-2.9))));
  CHECK(weights({-7, -10.1, -30})[0] == 1);
  // A largest of 0: every other is at relative distance 1, a second 0 at 0 / 0, which is not above the threshold.
  CHECK(weights({0, -1e-9, -5}) == std::vector<double>{1, 1});
  CHECK(weights({0, 0, -5}) == std::vector<double>{half, 1});
  // The second round measures from the second largest, not from the first.
  CHECK(weights({10, 5, 4})[0] == 1);
  CHECK(weights({10, 5, 4})[1] == Approx(1 / (1 + std::exp(-1.0))));
}

TEST_CASE("sparsemixer breaks ties to the lower index in both rounds", "[gates][whole][sparsemixer]") {
  auto gate = copying(gate_of(4, 4, 0.1));
  CHECK(experts_of_token(gate(rows_of({{1, 2, 2, 2}})), 0) == std::vector<hg::index>{1, 2});
  CHECK(experts_of_token(gate(rows_of({{2, 2, 2, 2}})), 0) == std::vector<hg::index>{0, 1});
  CHECK(experts_of_token(gate(rows_of({{1, 1, 2, 1}})), 0) == std::vector<hg::index>{2, 0});
  CHECK(gate.r.assignments[0].weight == 1);
  CHECK(gate.r.assignments[1].weight == Approx(1.0 / 3));
}

TEST_CASE(
    "sparsemixer in training draws by Gumbel numbers of the row, and a third of the weight remains of what is not "
    "the best, three times of four",
    "[gates][whole][sparsemixer]") {
  const double jitter = 0.6;
  auto gate = copying(gate_of(6, 6, jitter));
  const hg::matrix<double> z = random_matrix(300, 6, {5}).array() + 1;
  const auto& r = gate.training(z, 7);
  hg::index not_best = 0, whole = 0;
  for (hg::index t = 0; t < 300; ++t) {
    hg::index taken = -1;
    for (const hg::index round : {0, 1}) {
      const hg::random_stream numbers =
          hg::random_stream{7}.channel(~std::uint64_t{0}).channel(static_cast<std::uint64_t>(round));
      const auto s = row_of(z, t);
      const auto g = round_of(s, taken, jitter);
      hg::index drawn = -1;
      double most = off;
      for (std::size_t e = 0; e < 6; ++e) {
        const double value = g[e] > 0 ? s[e] + hg::gumbel(numbers, t, static_cast<hg::index>(e)) : off;
        if (value > most) most = value, drawn = static_cast<hg::index>(e);
      }
      const auto& a = r.assignments[2 * t + round];
      CHECK(a.expert == drawn);
      const bool best = drawn == best_of(g), lucky = hg::uniform(numbers, t, 6) > 0.75;
      not_best += !best;
      whole += !best && lucky;
      CHECK(a.weight == Approx(g[static_cast<std::size_t>(drawn)] * (best || lucky ? 1.0 : 1.0 / 3)).epsilon(1e-13));
      taken = drawn;
    }
  }
  CHECK(not_best > 100);  // so that the test has seen all cases
  CHECK(whole > 20);
  CHECK(whole < not_best / 2);
}

TEST_CASE("sparsemixer in training draws an expert as often as its probability says", "[gates][whole][sparsemixer]") {
  // 20000 draws: three standard deviations of a frequency are at most 3 sqrt(0.25 / 20000) = 0.0106.
  const hg::index tokens = 20000;
  auto gate = copying(gate_of(5, 5, 0.4));
  const auto row =
      rows_of({{2.0, 1.7, 1.3, 0.2, 1.9}});  // expert 3 is too far away, in the first round and in the second
  const auto& r = gate.training(row.replicate(tokens, 1), 3);
  const auto g = round_of(row_of(row, 0), -1, 0.4);
  std::vector<double> first(5, 0.0), second(5, 0.0), of_second(5, 0.0);
  for (hg::index t = 0; t < tokens; ++t) {
    first[static_cast<std::size_t>(r.assignments[2 * t].expert)] += 1.0 / static_cast<double>(tokens);
    second[static_cast<std::size_t>(r.assignments[2 * t + 1].expert)] += 1.0 / static_cast<double>(tokens);
  }
  for (std::size_t e = 0; e < 5; ++e) {
    if (g[e] == 0) continue;
    const auto after = round_of(row_of(row, 0), static_cast<hg::index>(e), 0.4);
    for (std::size_t j = 0; j < 5; ++j) of_second[j] += g[e] * after[j];
  }
  CHECK(g[3] == 0);
  CHECK(first[3] == 0);
  CHECK(second[3] == 0);
  for (std::size_t e = 0; e < 5; ++e) {
    CHECK(std::abs(first[e] - g[e]) < 0.0106);
    CHECK(std::abs(second[e] - of_second[e]) < 0.0106);
  }
}

TEST_CASE("sparsemixer's backward is its estimator, in training and in evaluation", "[gates][whole][sparsemixer]") {
  const double jitter = 0.6;
  auto gate = copying(gate_of(6, 6, jitter));
  const hg::matrix<double> z = random_matrix(50, 6, {9}).array() + 1;
  const auto dw = random_matrix(50, 6, {10});
  for (const bool training : {false, true}) {
    const auto& r = training ? gate.training(z, 4) : gate(z);
    gate.backward(z, dw);
    hg::matrix<double> expected = hg::matrix<double>::Zero(50, 6);
    for (hg::index t = 0; t < 50; ++t) {
      hg::index taken = -1;
      for (const hg::index round : {0, 1}) {
        const auto g = round_of(row_of(z, t), taken, jitter);
        taken = r.assignments[2 * t + round].expert;
        const double share = dw(t, taken) * g[static_cast<std::size_t>(taken)];  // without the third
        for (hg::index e = 0; e < 6; ++e)
          expected(t, e) += share * ((e == taken ? 1.0 : 0.0) - g[static_cast<std::size_t>(e)]);
      }
    }
    CHECK((gate.dx - expected).cwiseAbs().maxCoeff() < 1e-14);  // the router is the identity
    CHECK((gate.dp.head.weight - expected.transpose() * z).cwiseAbs().maxCoeff() < 1e-12);
  }
}

TEST_CASE("sparsemixer never picks an expert that is off: a token has as many as two of those that are on",
          "[gates][whole][sparsemixer]") {
  const hg::index n = 4;
  routed gate(hg::sparsemixer<hg::linear_head<double, hg::dynamic, hg::dynamic, hg::biases::used>>{
      .head = {.model = n, .experts = n}, .jitter = 0.5});
  gate.p.head.weight.setIdentity();
  const auto x = rows_of({{-9, 1, 2, 0.5}, {-50, -40, -30, -90}});
  gate.p.head.bias << 0, off, 0, off;
  for (const bool training : {false, true}) {
    const auto& r = training ? gate.training(x, 5) : gate(x);
    for (hg::index t = 0; t < 2; ++t) {
      CHECK(std::abs(r.assignments[2 * t].weight) > 0);
      for (const hg::index e : experts_of_token(r, t)) CHECK((e == 0 || e == 2));
    }
    gate.backward(x, hg::matrix<double>::Ones(2, n));
    CHECK(gate.dx.allFinite());
  }
  gate.p.head.bias << off, off, 0, off;
  for (const bool training : {false, true}) {
    const auto& r = training ? gate.training(x, 5) : gate(x);
    for (hg::index t = 0; t < 2; ++t) {
      CHECK(experts_of_token(r, t) == std::vector<hg::index>{2});
      CHECK(r.assignments[t].weight == 1);
    }
    CHECK(r.assignments.size() == 2);
    gate.backward(x, hg::matrix<double>::Ones(2, n));
    CHECK(gate.dx == hg::matrix<double>::Zero(2, n));
  }
  gate.p.head.bias.setConstant(off);
  for (const bool training : {false, true}) {
    const auto& r = training ? gate.training(x, 5) : gate(x);
    CHECK(r.assignments.empty());
    gate.backward(x, hg::matrix<double>::Ones(2, n));
    CHECK(gate.dx == hg::matrix<double>::Zero(2, n));
  }
}

TEST_CASE("a token of sparsemixer is differentiated by its own assignments, beside tokens that have fewer",
          "[gates][whole][sparsemixer]") {
  const hg::index n = 4;
  auto gate = copying(gate_of(n, n, 0.5));
  auto x = random_matrix(3, n, {6});
  const auto dw = random_matrix(3, n, {7});
  gate(x);
  gate.backward(x, dw);
  const hg::matrix<double> expected = gate.dx;
  // All logits of the second token overflow to -inf.
  const double huge = std::numeric_limits<double>::max();
  const hg::matrix<double> all = (hg::matrix<double>(3, 5) << x, hg::matrix<double>::Zero(3, 1)).finished();
  auto masked = all;
  masked(1, 4) = 2;
  routed other(gate_of(5, n, 0.5));
  other.p.head.weight.setZero(n, 5);
  other.p.head.weight.leftCols(n).setIdentity();
  other.p.head.weight.col(4).setConstant(-huge);
  const auto& r = other(masked);
  CHECK(r.assignments.size() == 4);
  CHECK(experts_of_token(r, 1).empty());
  other.backward(masked, dw);
  CHECK(other.dx.row(0).head(n) == expected.row(0));
  CHECK(other.dx.row(1).isZero(0));
  CHECK(other.dx.row(2).head(n) == expected.row(2));
}

TEST_CASE("sparsemixer refuses NaN and +inf, by name, and works again afterwards", "[gates][whole][sparsemixer]") {
  routed gate(hg::sparsemixer<hg::linear_head<double, hg::dynamic, hg::dynamic, hg::biases::used>>{
      .head = {.model = 1, .experts = 3}});
  gate.p.head.weight << 1, 2, 3;
  const auto x = rows_of({{1}, {-1}, {2}});
  const auto expected = dense_weights(gate(x));
  gate.p.head.bias << 0, 0, std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(gate(x), contains("sparsemixer::route: the router logit of token 0 for expert 2 is") &&
                                 contains("nan, logits must be finite or -inf"));
  CHECK(gate.r.assignments.empty());
  gate.p.head.bias << 0, 0, -off;
  CHECK_THROWS_WITH(gate(x),
                    "sparsemixer::route: the router logit of token 0 for expert 2 is inf, logits must be "
                    "finite or -inf");
  gate.p.head.bias.setZero();
  gate.p.head.weight(1, 0) = 1e308;  // 2e308 is infinite
  CHECK_THROWS_WITH(gate(x), contains("token 2 for expert 1 is inf"));
  gate.p.head.weight(1, 0) = 2;
  CHECK(dense_weights(gate(x)) == expected);
}

TEST_CASE("sparsemixer refuses sizes and options that make no sense, with both numbers",
          "[gates][whole][sparsemixer]") {
  CHECK_THROWS_WITH(gate_of(0, 3, 0.1).check(), "sparsemixer: model is 0, it must be at least 1");
  CHECK_THROWS_WITH(gate_of(4, 1, 0.1).check(), "sparsemixer: experts is 1, it must be at least 2");
  CHECK_THROWS_WITH(gate_of(4, 3, -0.1).check(), "sparsemixer: jitter is -0.1, it must be finite and at least 0");
  CHECK_THROWS_WITH(gate_of(4, 3, -off).check(), "sparsemixer: jitter is inf, it must be finite and at least 0");
  routed gate(gate_of(4, 3, 0.1));
  CHECK_THROWS_WITH(gate(random_matrix(2, 5, {3})),
                    "sparsemixer::route: x has 5 columns, the gate was built for model = 4");
}

TEST_CASE("sparsemixer gives the same bits with any executor", "[gates][whole][sparsemixer]") {
  const sparsemixer gate = gate_of(4, 4, 0.5);
  std::mt19937_64 generator(1);
  const auto p = gate.init(generator);
  const hg::matrix<double> x = random_matrix(9000, 4, {4});  // several tasks
  const auto run = [&](const auto& executor, bool training) {
    sparsemixer::cache c;
    hg::routing<double> r;
    hg::routing_gradient<double> d;
    hg::scratch<double> memory;
    const hg::pass<double, std::remove_cvref_t<decltype(executor)>> pass{executor, memory, training, {3}};
    gate.route(p, x, r, c, pass);
    d.reset(r);
    for (hg::index a = 0; a < r.assignments.size(); ++a) d.weights(a, 0) = 1.0 / static_cast<double>(a + 1);
    hg::matrix<double> dx = hg::matrix<double>::Zero(9000, 4);
    auto dp = p;
    gate.backward(p, x, r, c, d, dx, dp, pass);
    return std::tuple{dense_weights(r), dx, dp.head.weight};
  };
  const hg::thread_pool pool(3);
  for (const bool training : {false, true}) {
    const auto expected = run(hg::run_sequentially, training);
    CHECK(run(pool, training) == expected);
    CHECK(run(shuffled{3, 5}, training) == expected);
  }
}

TEST_CASE("a balance loss reads the softmax of sparsemixer's logits", "[gates][whole][sparsemixer]") {
  auto gate = copying(gate_of(3, 3, 0.1));
  const auto z = rows_of({{1, 0, -1}});
  gate(z);
  const double value = gate.backward_of(z, hg::switch_balance<double>{});
  const double sum = std::exp(1) + 1 + std::exp(-1);
  CHECK(value == Approx(3 * 0.5 * (std::exp(1) + 1) / sum));  // experts 0 and 1 have one token each
  CHECK(gate.dx.cwiseAbs().maxCoeff() > 0.01);
}

TEST_CASE("experts of sparsemixer can be switched off from outside, and nothing else",
          "[gates][sparsemixer][steering]") {
  hg::layer layer{hg::sparsemixer_gate<double>{.head = {.model = 5, .experts = 4}, .jitter = 0.2},
                  hg::linear_expert<double>{.model = 5, .outputs = 3}, 1};
  const hg::matrix<double> x = hg::matrix<double>::Random(20, 5);
  hg::matrix<double> y;
  decltype(layer)::workspace memory;
  memory.steering.off = {1, 3};
  layer.forward(x, y, memory);
  const auto load = memory.routing.load();
  CHECK((load[0] == 20 && load[1] == 0 && load[2] == 20 && load[3] == 0));

  const hg::matrix<double> before = y;
  const auto refused = [&](const hg::steering<double>& how) {
    memory.steering = how;
    CHECK_THROWS_WITH(layer.forward(x, y, memory),
                      "sparsemixer: steering sets k, skip or forced, this gate can only switch experts off");
    CHECK(y == before);
  };
  refused({.k = 1});
  refused({.skip = 1});
  memory.steering = {.off = {0, 1, 2, 3}};
  CHECK_THROWS_AS(layer.forward(x, y, memory), std::invalid_argument);
}
