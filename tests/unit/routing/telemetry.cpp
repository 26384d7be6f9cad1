// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/routing/telemetry.hpp>

#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>
#include <headgate/losses/probabilities.hpp>

#include "support/layer_checks.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace headgate_test;

namespace {

/// A record of these experts for token 0, 1, ..., without scores.
hg::routing<double> record_of(hg::index experts, const std::vector<hg::index>& named) {
  hg::routing<double> r;
  r.reset(static_cast<hg::index>(named.size()), experts);
  for (hg::index t = 0; t < r.tokens; ++t) r.assignments.push_back({t, named[static_cast<std::size_t>(t)], 1.0});
  return r;
}

}  // namespace

TEST_CASE("telemetry tells load, share, entropy, imbalance and idle experts", "[routing][telemetry]") {
  hg::routing_telemetry t;
  t.add(record_of(4, {0, 1, 1, 3}));
  t.add(record_of(4, {1, 1, 0, 1}));
  CHECK((t.experts() == 4 && t.tokens() == 8 && t.assignments() == 8));
  CHECK((t.load(0) == 2 && t.load(1) == 5 && t.load(2) == 0 && t.load(3) == 1));
  CHECK(t.share(1) == 0.625);
  const double entropy = -(0.25 * std::log(0.25) + 0.625 * std::log(0.625) + 0.125 * std::log(0.125));
  CHECK(t.entropy() == Approx(entropy).epsilon(1e-14));
  CHECK(t.normalised_entropy() == Approx(entropy / std::log(4)).epsilon(1e-14));
  CHECK(t.max_over_mean() == 2.5);
  CHECK(t.unused_experts() == 1);
  CHECK(!t.drop_rate());
  CHECK(!t.mean_top1_probability());
  CHECK(!t.mean_z());
  CHECK(!t.mean_z_squared());
  t.reset();
  CHECK((t.experts() == 4 && t.tokens() == 0 && t.load(1) == 0 && t.entropy() == 0 && t.max_over_mean() == 0));
}

TEST_CASE("uniform load has the entropy log(experts), load on one expert none", "[routing][telemetry]") {
  hg::routing_telemetry uniform, one, single;
  uniform.add(record_of(4, {0, 1, 2, 3}));
  CHECK(uniform.entropy() == Approx(std::log(4)));
  CHECK(uniform.normalised_entropy() == Approx(1));
  CHECK(uniform.max_over_mean() == 1);
  one.add(record_of(4, {2, 2, 2}));
  CHECK((one.entropy() == 0 && one.max_over_mean() == 4 && one.unused_experts() == 3));
  single.add(record_of(1, {0, 0}));
  CHECK((single.entropy() == 0 && single.normalised_entropy() == 1 && single.max_over_mean() == 1));
}

TEST_CASE("telemetry without a batch, or of batches without tokens or assignments, divides by nothing",
          "[routing][telemetry]") {
  hg::routing_telemetry t;
  CHECK((t.experts() == 0 && t.entropy() == 0 && t.normalised_entropy() == 0 && t.max_over_mean() == 0));
  t.add(record_of(3, {}));
  hg::routing<double> r;
  r.reset(5, 3);  // tokens that go nowhere
  t.add(r);
  CHECK((t.tokens() == 5 && t.assignments() == 0 && t.share(0) == 0 && t.unused_experts() == 3));
  CHECK((t.normalised_entropy() == 0 && !t.drop_rate()));
}

TEMPLATE_TEST_CASE("top-1 probability and z are those of the losses", "[routing][telemetry]", float, double) {
  using T = TestType;
  const auto check = [](const auto& gate) {
    const hg::layer layer{gate, hg::linear_expert<T>{.model = 5, .outputs = 3}, 1};
    typename decltype(hg::layer{layer})::workspace memory;
    hg::routing_telemetry t;
    hg::matrix<T> y;
    double top1 = 0, z = 0, z_squared = 0;
    for (std::uint64_t pass = 0; pass < 3; ++pass) {
      layer.forward(random_matrix<T>(7, 5, {pass}), y, memory);
      t.add(memory.routing, memory.plan);
      std::vector<T> p(6);
      for (hg::index token = 0; token < 7; ++token) {
        hg::probabilities(memory.routing, token, p.data());
        top1 += static_cast<double>(*std::max_element(p.begin(), p.end())) / 21;
        double sum = 0;
        for (hg::index e = 0; e < 6; ++e) sum += std::exp(static_cast<double>(memory.routing.logits(token, e)));
        z += std::log(sum) / 21;
        z_squared += std::log(sum) * std::log(sum) / 21;
      }
    }
    const double close = sizeof(T) == 8 ? 1e-13 : 1e-5;
    CHECK(t.mean_top1_probability().value() == Approx(top1).epsilon(close));
    CHECK(t.mean_z().value() == Approx(z).epsilon(close));
    CHECK(t.mean_z_squared().value() == Approx(z_squared).epsilon(close));
    CHECK(t.drop_rate() == 0.0);
  };
  check(hg::topk_gate<T>{.head = {.model = 5, .experts = 6}, .select = {.k = 2}});
  check(hg::renormalised_topk_gate<T>{.head = {.model = 5, .experts = 6}, .select = {.k = 2}});
  check(hg::sigmoid_gate<T>{.head = {.model = 5, .experts = 6}, .select = {.k = 2}});
}

TEST_CASE("experts that are switched off count as zero, a row without a number does not count at all",
          "[routing][telemetry]") {
  hg::routing<double> r = record_of(2, {0, 0, 0});
  constexpr double off = -infinity<double>;
  const double z[] = {1, off, 0.5, 0.5, off, off};
  std::copy_n(z, 6, r.logits.resize(3, 2).data);
  r.scores_are = hg::score_kind::logits;
  hg::routing_telemetry t;
  t.add(r);
  CHECK(t.mean_top1_probability().value() == Approx(0.75));
  CHECK(t.mean_z().value() == Approx((1 + 0.5 + std::log(2)) / 2));

  r.logits.resize(0, 0);  // a gate with scores only
  r.scores_are = hg::score_kind::positive;
  const double s[] = {0, 0, 1, 3, 0, 2};
  std::copy_n(s, 6, r.scores.resize(3, 2).data);
  hg::routing_telemetry of_scores;
  of_scores.add(r);
  CHECK(of_scores.mean_top1_probability().value() == Approx((0.75 + 1) / 2));
  CHECK(!of_scores.mean_z());

  r.scores_are = hg::score_kind::distribution;
  const double p[] = {0, 0, 0.25, 0.75, 0, 1};
  std::copy_n(p, 6, r.scores.data());
  hg::routing_telemetry of_distribution;
  of_distribution.add(r);
  CHECK(of_distribution.mean_top1_probability().value() == Approx((0.75 + 1) / 2));
}

TEST_CASE("the drop rate is that of the passes with a plan", "[routing][telemetry]") {
  const auto r = record_of(2, {0, 0, 0, 1});
  hg::dispatch_plan plan, other;
  plan.make(r, hg::capacity{.factor = 1});  // two for each
  hg::routing_telemetry t;
  t.add(r, plan);
  CHECK(t.drop_rate() == 0.25);
  CHECK(t.load(0) == 3);  // dropped or not
  t.add(r);
  CHECK(t.drop_rate() == 0.25);
  other.make(record_of(2, {0, 0, 0}), hg::capacity{});
  CHECK(refusal([&] { t.add(r, other); }) == "routing_telemetry::add: the plan is of 3 assignments, the record has 4");
  CHECK(t.tokens() == 8);
}

TEST_CASE("merged telemetry is that of all batches", "[routing][telemetry]") {
  hg::routing_telemetry all, a, b(4);
  const auto first = record_of(4, {0, 1, 1, 3}), second = record_of(4, {2, 1});
  hg::dispatch_plan plan;
  plan.make(first, hg::capacity{.factor = 1});
  all.add(first, plan);
  all.add(second);
  a.add(first, plan);
  b.merge(a);
  b.merge({});
  a.reset();
  a.add(second);
  b.merge(a);
  CHECK((b.tokens() == all.tokens() && b.assignments() == all.assignments() && b.drop_rate() == all.drop_rate()));
  for (hg::index e = 0; e < 4; ++e) CHECK(b.load(e) == all.load(e));
  CHECK(b.entropy() == all.entropy());
  CHECK(refusal([&] { b.merge(hg::routing_telemetry(3)); }) ==
        "routing_telemetry::merge: 3 experts, the telemetry so far is of 4");
  CHECK(refusal([&] { b.add(record_of(5, {0})); }) ==
        "routing_telemetry::add: 5 experts, the telemetry so far is of 4");
  CHECK(refusal([&] {
          b.add(record_of(4, {0, 4}));
        }) == "routing_telemetry::add: an assignment names expert 4, the record is of 4");
  CHECK(b.tokens() == all.tokens());
}
