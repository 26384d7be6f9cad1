// SPDX-License-Identifier: BSD-3-Clause
// Published routers as compositions of stages, each against its rule in plain loops.
#include <headgate/core/bf16.hpp>
#include <headgate/gates/named.hpp>

#include "support/gate_checks.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <type_traits>
#include <vector>

namespace hg = headgate;
using namespace headgate_test;
using reals = std::vector<double>;
using ids = std::vector<hg::index>;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr hg::index tokens = 40, experts = 12;

std::size_t at(hg::index i) { return static_cast<std::size_t>(i); }

// The pieces of the rules, from the code and the papers of the models.

reals softmax(const reals& z) {
  const double most = *std::max_element(z.begin(), z.end());
  reals p(z.size());
  double sum = 0;
  for (std::size_t e = 0; e < z.size(); ++e) sum += p[e] = std::exp(z[e] - most);
  for (double& x : p) x /= sum;
  return p;
}
reals each(reals z, double (*f)(double)) {
  for (double& x : z) x = f(x);
  return z;
}
double logistic_of(double z) { return 1 / (1 + std::exp(-z)); }
double root_of_softplus(double z) { return std::sqrt(std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z)))); }

reals plus(reals s, const reals& bias) {
  for (std::size_t e = 0; e < s.size(); ++e) s[e] += bias[e];
  return s;
}
ids best(const reals& s, hg::index k) {
  ids order(s.size());
  std::iota(order.begin(), order.end(), hg::index{0});
  std::stable_sort(order.begin(), order.end(), [&](hg::index a, hg::index b) { return s[at(a)] > s[at(b)]; });
  order.resize(at(k));
  return order;
}
/// Groups judged by the sum of their `count` best (1: the maximum).
reals limited(reals s, hg::index groups, hg::index keep, hg::index count, double mask) {
  const std::size_t size = s.size() / at(groups);
  reals of_group;
  for (std::size_t g = 0; g < at(groups); ++g) {
    reals inside(s.begin() + static_cast<std::ptrdiff_t>(g * size),
                 s.begin() + static_cast<std::ptrdiff_t>((g + 1) * size));
    std::sort(inside.rbegin(), inside.rend());
    of_group.push_back(std::accumulate(inside.begin() + 1, inside.begin() + count, inside[0]));
  }
  const ids kept = best(of_group, keep);
  for (std::size_t e = 0; e < s.size(); ++e)
    if (std::find(kept.begin(), kept.end(), static_cast<hg::index>(e / size)) == kept.end()) s[e] = mask;
  return s;
}
reals of(const reals& s, const ids& chosen) {
  reals w;
  for (const hg::index e : chosen) w.push_back(s[at(e)]);
  return w;
}
double sum(const reals& w) { return std::accumulate(w.begin(), w.end(), 0.0); }
reals times(reals w, double factor) {
  for (double& x : w) x *= factor;
  return w;
}
reals over(reals w, double divisor) {
  for (double& x : w) x /= divisor;
  return w;
}

struct decision {
  ids chosen;
  reals weights;
};

/// Logits of every kind: random, with ties, all equal, huge.
hg::matrix<double> logits() {
  hg::matrix<double> z = random_matrix(tokens, experts, {1});
  z.middleRows(10, 10) = (z.middleRows(10, 10) * 2).array().round() / 2;
  z.row(20).setZero();
  z.row(21).setConstant(-3);
  z.middleRows(30, 10) *= 1e4;
  return z;
}

/// `rule(z, bias)` for each token, as the gate decides it; and what gates promise, gradients included.
template <class Gate, class Rule>
void check(const Gate& gate, const Rule& rule) {
  auto one = copying(gate);
  reals bias(at(experts));
  hg::field_path path;
  const auto set_bias = [&](std::string_view name, hg::matrix<double>& p) {
    if (name != "selection_bias") return;
    p = 0.3 * random_matrix(1, experts, {2});
    bias.assign(p.data(), p.data() + experts);
  };
  hg::for_each_field<Gate, hg::fields_of::storage>(path, set_bias, one.p);
  const auto z = logits();
  const auto& r = one(z);
  for (hg::index t = 0; t < tokens; ++t) {
    const decision expected = rule(reals(z.row(t).data(), z.row(t).data() + experts), bias);
    CAPTURE(t);
    REQUIRE(experts_of_token(r, t) == expected.chosen);
    const auto w = dense_weights(r);
    for (std::size_t i = 0; i < expected.chosen.size(); ++i)
      CHECK(w(t, expected.chosen[i]) == Approx(expected.weights[i]).epsilon(1e-13).margin(1e-300));
  }
  one.backward(z, random_matrix(tokens, experts, {3}));
  CHECK(one.dx.allFinite());
  CHECK(hg::testing::check_gate(gate));
}

using head = hg::linear_head<double, experts, experts>;
template <class Score, class Select, class Weigh>
using routed_by = hg::gate<head, Score, Select, Weigh>;

template <class Select>
using biased = hg::adjusted<hg::selection_bias<double>, Select>;
template <class GroupScore>
using grouped = hg::adjusted<hg::group_limit<GroupScore>, hg::top_k<>>;

}  // namespace

TEST_CASE("Switch: softmax, the best, as it is", "[property][gates][vocabulary]") {
  check(routed_by<hg::softmax, hg::top_k<1>, hg::raw>{}, [](const reals& z, const reals&) {
    const reals p = softmax(z);
    return decision{best(p, 1), of(p, best(p, 1))};
  });
}

TEST_CASE("GShard: softmax, two, over their sum and 1e-9", "[property][gates][vocabulary]") {
  check(routed_by<hg::softmax, hg::top_k<2>, hg::renormalised_plus<double>>{.weigh = {.epsilon = 1e-9}},
        [](const reals& z, const reals&) {
          const reals p = softmax(z), w = of(p, best(p, 2));
          return decision{best(p, 2), over(w, sum(w) + 1e-9)};
        });
}

TEST_CASE("Mixtral, Qwen2, Qwen3, OLMoE: softmax, k, renormalised if a switch says so",
          "[property][gates][vocabulary]") {
  for (const bool on : {false, true})
    check(routed_by<hg::softmax, hg::top_k<>, hg::switched<hg::renormalised>>{.select = {.k = 4}, .weigh = {.on = on}},
          [on](const reals& z, const reals&) {
            const reals p = softmax(z), w = of(p, best(p, 4));
            return decision{best(p, 4), on ? over(w, sum(w)) : w};
          });
}

TEST_CASE("DeepSeek-V2: softmax, the groups of the best maximum, others at zero, scaled",
          "[property][gates][vocabulary]") {
  using gate = routed_by<hg::softmax, grouped<hg::group_max>, hg::scaled<double, hg::raw>>;
  check(gate{.select = {.adjust = {.groups = 4, .keep = 2, .masked = hg::group_mask::zero}, .select = {.k = 3}},
             .weigh = {.factor = 16}},
        [](const reals& z, const reals&) {
          const reals p = softmax(z);
          const ids chosen = best(limited(p, 4, 2, 1, 0.0), 3);
          return decision{chosen, times(of(p, chosen), 16)};
        });
}

TEST_CASE("DeepSeek-V3, Kimi K2, GLM-4.5: sigmoid, bias, the groups of the best two, renormalised, scaled",
          "[property][gates][vocabulary]") {
  for (const auto& [mask, number] : {std::pair{hg::group_mask::zero, 0.0}, {hg::group_mask::minus_infinity, -infinity}})
    for (const hg::index groups : {1, 4}) {
      const hg::index keep = groups == 1 ? 1 : 2;
      using gate = routed_by<hg::sigmoid_score, biased<grouped<hg::top_two_sum>>,
                             hg::scaled<double, hg::renormalised_plus<double>>>;
      check(gate{.select = {.select = {.adjust = {.groups = groups, .keep = keep, .masked = mask}, .select = {.k = 4}}},
                 .weigh = {.factor = 2.5}},
            [&, number = number](const reals& z, const reals& bias) {
              const reals s = each(z, logistic_of);
              const ids chosen = best(limited(plus(s, bias), groups, keep, 2, number), 4);
              const reals w = of(s, chosen);
              return decision{chosen, times(over(w, sum(w) + 1e-20), 2.5)};
            });
    }
}

TEST_CASE("masked to zero, experts outside the best groups rank before negative ones inside",
          "[property][gates][vocabulary]") {
  using gate = hg::gate<hg::linear_head<double, 4, 4>, hg::sigmoid_score, biased<grouped<hg::group_max>>, hg::raw>;
  const auto chosen = [](hg::group_mask masked) {
    auto one =
        copying(gate{.select = {.select = {.adjust = {.groups = 2, .keep = 1, .masked = masked}, .select = {.k = 2}}}});
    one.p.select.adjust.selection_bias.setConstant(1, 4, -2);  // all that chooses is negative
    return experts_of_token(one(rows_of({{0, 1, 3, 2}})), 0);
  };
  CHECK(chosen(hg::group_mask::minus_infinity) == ids{2, 3});
  CHECK(chosen(hg::group_mask::zero) == ids{0, 1});  // the wrong group: what that code does
}

TEST_CASE("groups by the sum of their k / keep best", "[property][gates][vocabulary]") {
  using gate = routed_by<hg::sigmoid_score, biased<grouped<hg::group_top_sum<>>>, hg::renormalised>;
  check(gate{.select = {.select = {.adjust = {.groups = 3, .keep = 2, .score = {6 / 2}}, .select = {.k = 6}}}},
        [](const reals& z, const reals& bias) {
          const reals s = each(z, logistic_of);
          const ids chosen = best(limited(plus(s, bias), 3, 2, 3, -infinity), 6);
          const reals w = of(s, chosen);
          return decision{chosen, sum(w) == 0 ? w : over(w, sum(w))};
        });
}

TEST_CASE("DeepSeek-V4: the root of the softplus, bias, renormalised, scaled", "[property][gates][vocabulary]") {
  check(
      routed_by<hg::sqrt_softplus_score, biased<hg::top_k<>>, hg::scaled<double, hg::renormalised_plus<double>>>{
          .select = {.select = {.k = 3}}, .weigh = {.factor = 1.5}},
      [](const reals& z, const reals& bias) {
        const reals s = each(z, root_of_softplus);
        const ids chosen = best(plus(s, bias), 3);
        const reals w = of(s, chosen);
        return decision{chosen, times(over(w, sum(w) + 1e-20), 1.5)};
      });
}

TEST_CASE("JetMoE, Granite, GPT-OSS: k logits, softmax of those", "[property][gates][vocabulary]") {
  check(routed_by<hg::logits_score, hg::top_k<4>, hg::softmax_of_selected>{}, [](const reals& z, const reals&) {
    return decision{best(z, 4), softmax(of(z, best(z, 4)))};
  });
}

TEST_CASE("Llama 4: the best logit, its sigmoid", "[property][gates][vocabulary]") {
  check(routed_by<hg::logits_score, hg::top_k<1>, hg::sigmoid_of_selected>{}, [](const reals& z, const reals&) {
    return decision{best(z, 1), each(of(z, best(z, 1)), logistic_of)};
  });
}

TEST_CASE("DBRX: softmax, four, over their norm", "[property][gates][vocabulary]") {
  for (const double p : {1.0, 2.0, infinity})
    check(routed_by<hg::softmax, hg::top_k<4>, hg::norm_divided<double>>{.weigh = {.p = p}},
          [p](const reals& z, const reals&) {
            const reals s = softmax(z), w = of(s, best(s, 4));
            double norm = 0;
            for (const double x : w) norm = p == infinity ? std::max(norm, x) : norm + std::pow(x, p);
            return decision{best(s, 4), over(w, p == infinity ? norm : std::pow(norm, 1 / p))};
          });
}

TEST_CASE("Grok-1: softmax, two, as they are, cast to bf16", "[property][gates][vocabulary]") {
  auto gate = copying(routed_by<hg::softmax, hg::top_k<2>, hg::rounded_to<hg::bf16, hg::raw>>{});
  const auto z = logits();
  const auto w = dense_weights(gate(z));
  for (hg::index t = 0; t < tokens; ++t) {
    const reals p = softmax(reals(z.row(t).data(), z.row(t).data() + experts));
    for (const hg::index e : best(p, 2))
      CHECK(w(t, e) == static_cast<double>(static_cast<float>(hg::bf16(static_cast<float>(p[at(e)])))));
  }
}

TEST_CASE("MiniMax-M2: sigmoid, bias, over the sum without an epsilon", "[property][gates][vocabulary]") {
  check(routed_by<hg::sigmoid_score, biased<hg::top_k<>>, hg::renormalised>{.select = {.select = {.k = 4}}},
        [](const reals& z, const reals& bias) {
          const reals s = each(z, logistic_of);
          const ids chosen = best(plus(s, bias), 4);
          const reals w = of(s, chosen);
          return decision{chosen, sum(w) == 0 ? w : over(w, sum(w))};
        });
}

TEST_CASE("ERNIE 4.5, Hunyuan: softmax, perhaps a bias, over the sum but not less than an epsilon",
          "[property][gates][vocabulary]") {
  for (const double epsilon : {1e-12, 0.9})  // the second acts
    check(routed_by<hg::softmax, biased<hg::top_k<>>, hg::renormalised_at_least<double>>{.select = {.select = {.k = 3}},
                                                                                         .weigh = {.epsilon = epsilon}},
          [epsilon](const reals& z, const reals& bias) {
            const reals p = softmax(z);
            const ids chosen = best(plus(p, bias), 3);
            const reals w = of(p, chosen);
            return decision{chosen, over(w, std::max(sum(w), epsilon))};
          });
}

TEST_CASE("LongCat-Flash: softmax, bias, as they are, scaled", "[property][gates][vocabulary]") {
  check(routed_by<hg::softmax, biased<hg::top_k<>>, hg::scaled<double, hg::raw>>{.select = {.select = {.k = 5}},
                                                                                 .weigh = {.factor = 6}},
        [](const reals& z, const reals& bias) {
          const reals p = softmax(z);
          const ids chosen = best(plus(p, bias), 5);
          return decision{chosen, times(of(p, chosen), 6)};
        });
}

TEST_CASE("SCMoE: the second best for the shortcut", "[property][gates][vocabulary]") {
  check(routed_by<hg::softmax, hg::ranked, hg::raw>{.select = {.skip = 1, .k = 1}}, [](const reals& z, const reals&) {
    const reals p = softmax(z);
    const ids chosen = {best(p, 2).back()};
    return decision{chosen, of(p, chosen)};
  });
}

TEST_CASE("logits rounded to bf16 before the softmax", "[property][gates][vocabulary]") {
  using score = hg::rounded_score<hg::bf16, hg::softmax, double>;
  auto gate = copying(routed_by<score, hg::top_k<3>, hg::raw>{});
  const auto z = logits();
  const auto& r = gate(z);
  for (hg::index t = 0; t < tokens; ++t) {
    reals rounded;
    for (hg::index e = 0; e < experts; ++e)
      rounded.push_back(static_cast<double>(static_cast<float>(hg::bf16(static_cast<float>(z(t, e))))));
    CHECK(experts_of_token(r, t) == best(softmax(rounded), 3));
  }
}

namespace {

/// One composition at the edges: what is switched off has no assignment; gradients are finite. `k` experts are chosen, or
/// as many as are on.
template <class Gate>
void check_edges(const Gate& gate, hg::index k) {
  auto one = copying(gate);
  hg::matrix<double> z = random_matrix(6, experts, {5});
  for (hg::index e = 0; e < experts; ++e) {
    z(0, e) = -infinity;
    if (e % 3 != 0) z(1, e) = -infinity;
    if (e != 7) z(2, e) = -infinity;
    if (e % 2 == 0) z(3, e) *= 1e4;
    z(4, e) = e % 2 == 0 ? -1e4 : -infinity;
    z(5, e) = 0.25;
  }
  one.r.reset(6, experts);
  std::copy_n(z.data(), z.size(), one.r.logits.resize(6, experts).data);
  hg::scratch<double> memory;
  const hg::pass<double> pass{hg::run_sequentially, memory};
  const hg::matrix<double> x = hg::matrix<double>::Ones(6, experts);
  one.gate.route_logits(one.p, x, one.r, one.cache, pass);
  for (hg::index t = 0; t < 6; ++t) {
    const ids chosen = experts_of_token(one.r, t);
    CAPTURE(t);
    const auto on = static_cast<hg::index>((z.row(t).array() > -infinity).count());
    CHECK(static_cast<hg::index>(chosen.size()) == std::min(k, on));
    for (const hg::index e : chosen) CHECK(z(t, e) > -infinity);
  }
  ids lowest(at(k));
  std::iota(lowest.begin(), lowest.end(), hg::index{0});
  CHECK(experts_of_token(one.r, 5) == lowest);
  for (const auto& a : one.r.assignments) CHECK(std::isfinite(a.weight));
  for (hg::index i = 0; i < one.r.scores.size(); ++i)
    if (Gate::kind_of_scores != hg::score_kind::logits) CHECK(std::isfinite(one.r.scores.data()[i]));
  one.d.reset(one.r);
  for (hg::index i = 0; i < one.d.weights.size(); ++i) one.d.weights.data()[i] = 1 + static_cast<double>(i);
  one.dx = hg::matrix<double>::Zero(6, experts);
  one.dp.head.weight.setZero(experts, experts);
  one.gate.backward(one.p, x, one.r, one.cache, one.d, one.dx, one.dp, pass);
  CHECK(one.dx.allFinite());
  CHECK(one.dp.head.weight.allFinite());
  CHECK(one.dx.row(0).isZero(0));
}

template <class Score, class Select, class Weigh>
struct edge_gate : hg::gate<head, Score, Select, Weigh> {
  static constexpr hg::score_kind kind_of_scores = Score::kind;
};

}  // namespace

TEST_CASE("each composition keeps the edge rules", "[property][gates][vocabulary]") {
  for (const hg::index k : {1, 3, 12}) {
    check_edges(edge_gate<hg::softmax, hg::top_k<>, hg::raw>{{.select = {.k = k}}}, k);
    check_edges(edge_gate<hg::softmax, hg::top_k<>, hg::renormalised>{{.select = {.k = k}}}, k);
    check_edges(
        edge_gate<hg::softmax, biased<hg::top_k<>>, hg::renormalised_at_least<double>>{
            {.select = {.select = {.k = k}}}},
        k);
    check_edges(edge_gate<hg::sigmoid_score, biased<hg::top_k<>>, hg::renormalised>{{.select = {.select = {.k = k}}}},
                k);
    check_edges(edge_gate<hg::logits_score, hg::top_k<>, hg::softmax_of_selected>{{.select = {.k = k}}}, k);
    check_edges(edge_gate<hg::logits_score, hg::top_k<>, hg::sigmoid_of_selected>{{.select = {.k = k}}}, k);
    check_edges(edge_gate<hg::logits_score, hg::top_k<>, hg::raw>{{.select = {.k = k}}}, k);
    check_edges(edge_gate<hg::softmax, hg::top_k<>, hg::norm_divided<double>>{{.select = {.k = k}, .weigh = {.p = 2}}},
                k);
    check_edges(
        edge_gate<hg::sqrt_softplus_score, biased<hg::top_k<>>, hg::scaled<double, hg::renormalised>>{
            {.select = {.select = {.k = k}}}},
        k);
    check_edges(edge_gate<hg::rounded_score<hg::bf16, hg::softmax, double>, hg::top_k<>,
                          hg::rounded_to<hg::bf16, hg::renormalised>>{{.select = {.k = k}}},
                k);
  }
}

TEST_CASE("a gate of one expert sends everything to it", "[property][gates][vocabulary]") {
  const auto only = [](const auto& gate) {
    auto one = copying(gate);
    hg::matrix<double> z(3, 1);
    z << -1e4, 0.5, 1e4;
    const auto w = dense_weights(one(z));
    CHECK(one.r.assignments.size() == 3);
    one.backward(z, hg::matrix<double>::Ones(3, 1));
    CHECK(one.dx.allFinite());
    return w(1, 0);
  };
  using one_head = hg::linear_head<double, 1, 1>;
  using limit = hg::adjusted<hg::group_limit<hg::group_max>, hg::top_k<1>>;
  CHECK(only(hg::gate<one_head, hg::softmax, limit, hg::renormalised>{}) == 1);
  CHECK(only(hg::gate<one_head, hg::sigmoid_score, biased<limit>, hg::raw>{}) == Approx(logistic_of(0.5)));
  CHECK(only(hg::gate<one_head, hg::sqrt_softplus_score, hg::ranked, hg::renormalised>{}) == 1);
  CHECK(only(hg::gate<one_head, hg::logits_score, hg::top_k<1>, hg::softmax_of_selected>{}) == 1);
}
