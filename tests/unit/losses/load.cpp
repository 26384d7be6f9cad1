// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/load.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"
#include "unit/losses/widened.hpp"

#include <limits>

namespace hg = headgate;
using namespace headgate_test;

namespace {

const auto with_mask = [](std::span<const bool> mask) { return hg::load_balance<double>{.weight = 0.7, .mask = mask}; };

/// Noisy logits z = clean + scale noise, of which each token chooses the k largest.
routing<double> noisy_record(const std::vector<std::vector<double>>& clean,
                             const std::vector<std::vector<double>>& scale,
                             const std::vector<std::vector<double>>& noise, hg::index k) {
  routing<double> r;
  r.reset(static_cast<hg::index>(clean.size()), static_cast<hg::index>(clean.front().size()));
  for (auto* block : {&r.logits, &r.clean_logits, &r.noise_scale}) block->resize(r.tokens, r.experts);
  for (hg::index t = 0; t < r.tokens; ++t) {
    const auto row = static_cast<std::size_t>(t);
    for (hg::index i = 0; i < r.experts; ++i) {
      const auto column = static_cast<std::size_t>(i);
      r.clean_logits(t, i) = clean[row][column];
      r.noise_scale(t, i) = scale[row][column];
      r.logits(t, i) = clean[row][column] + scale[row][column] * noise[row][column];
    }
    for (const hg::index e : largest(r.logits.row(t), r.experts, k)) r.assignments.push_back({t, e, 1.0});
  }
  return r;
}

const std::vector<std::vector<double>> clean = {{.5, -.3, 1.1, .2}, {0., .4, -.6, .9}, {1.5, .1, .3, -.2}};
const std::vector<std::vector<double>> scale = {{.5, 1., .7, .3}, {1.2, .4, .8, .6}, {.9, .5, .35, 1.1}};
const std::vector<std::vector<double>> noise = {{.4, -1.2, .3, 1.5}, {-.7, .9, 1.1, -.2}, {.1, 2., -.5, .6}};

/// CV^2 of the numbers of assignments, by the definition.
double variation_of_counts(const routing<double>& r) {
  const auto load = r.load();
  double mean = 0, variance = 0;
  for (const hg::index c : load) mean += static_cast<double>(c) / static_cast<double>(r.experts);
  for (const hg::index c : load)
    variance += std::pow(static_cast<double>(c) - mean, 2) / static_cast<double>(r.experts);
  return variance / (mean * mean);
}

}  // namespace

TEST_CASE("load_balance has the golden values", "[losses][load]") {
  // Computed apart from this library with the error function: loads 1.5214, 1.0123, 0.7955, 1.0157.
  const auto r = noisy_record(clean, scale, noise, 2);
  CHECK(value_of(hg::load_balance<double>{}, r) == Approx(0.06024068223725425).epsilon(1e-13));
  CHECK(value_of(hg::load_balance<double>{.variance = hg::variance_of::sample}, r) ==
        Approx(0.08032090964967234).epsilon(1e-13));
}

TEST_CASE("the gradient of load_balance reaches clean logits, scales and thresholds", "[losses][load]") {
  const hg::load_balance<double> loss{.weight = 0.3};
  CHECK(check_gradient(loss, noisy_record(clean, scale, noise, 2)) == "logits clean_logits noise_scale");
  CHECK(check_gradient(loss, random_record(8, 6, -1, score_kind::logits, 51, true)) ==
        "logits clean_logits noise_scale");
  CHECK(check_gradient(loss, random_record(8, 6, 6, score_kind::logits, 52, true)) ==
        "logits clean_logits noise_scale");
  CHECK(check_gradient(hg::load_balance<double>{.weight = 0.3, .variance = hg::variance_of::sample},
                       random_record(8, 6, -3, score_kind::logits, 53, true)) == "logits clean_logits noise_scale");
}

TEST_CASE("load_balance tends to the variation of the counts as the noise vanishes", "[losses][load]") {
  for (const double size : {1e-3, 1e-150, 1e-309, 0.0}) {
    auto scales = scale;
    for (auto& row : scales)
      for (double& one : row) one *= size;
    const auto r = noisy_record(clean, scales, noise, 2);
    routing_gradient<double> d;
    d.reset(r);
    CHECK(hg::load_balance<double>{}(r, d) == Approx(variation_of_counts(r)).epsilon(1e-12));
    for (const auto& block : blocks_of(d))
      for (const double slope : block.values) CHECK(std::isfinite(slope));
  }
}

TEST_CASE("equal logits without noise share the load", "[losses][load]") {
  // Experts 0 and 1 have half the token each: CV^2 of (.5, .5, 0).
  const auto r = noisy_record({{1, 1, 0}}, {{0, 0, 0}}, {{0, 0, 0}}, 1);
  routing_gradient<double> d;
  d.reset(r);
  CHECK(hg::load_balance<double>{}(r, d) == Approx(0.5).epsilon(1e-14));
  CHECK(is_zero(d));
}

TEST_CASE("load_balance counts tokens, without a gradient, if there is no noise or all experts are chosen",
          "[losses][load]") {
  const auto quiet = random_record(9, 4, 3, score_kind::logits, 54);
  const auto all = random_record(9, 4, -4, score_kind::logits, 55, true);
  auto some = random_record(9, 4, -4, score_kind::logits, 56, true);  // all experts or none
  while (some.assignments.size() > 20) {
    const hg::index last = some.assignments.back().token;
    hg::array<hg::assignment<double>> kept;
    for (const auto& a : some.assignments)
      if (a.token != last) kept.push_back(a);
    some.assignments = kept;
  }
  for (const auto& r : {quiet, all, some}) {
    routing_gradient<double> d;
    d.reset(r);
    CHECK(hg::load_balance<double>{}(r, d) == Approx(variation_of_counts(r)).margin(1e-14));
    CHECK(is_zero(d));
  }
}

TEST_CASE("symmetric logits give equal loads", "[losses][load]") {
  // Each expert is once in each place: a circulant of one row.
  std::vector<std::vector<double>> c(4), s(4), e(4);
  for (std::size_t t = 0; t < 4; ++t)
    for (std::size_t i = 0; i < 4; ++i) {
      c[t].push_back(clean[0][(i + t) % 4]);
      s[t].push_back(scale[0][(i + t) % 4]);
      e[t].push_back(noise[0][(i + t) % 4]);
    }
  CHECK(value_of(hg::load_balance<double>{}, noisy_record(c, s, e, 2)) == Approx(0).margin(1e-28));
}

TEST_CASE("the mean over the noise of the counts is that of the smooth load", "[losses][load]") {
  const std::size_t draws = 20000;
  loss_numbers draw(57);
  std::vector<std::vector<double>> e(draws);
  for (auto& row : e)
    for (int i = 0; i < 4; ++i) row.push_back(draw.normal());
  const auto r = noisy_record(std::vector(draws, clean[0]), std::vector(draws, scale[0]), e, 2);

  double load[4] = {}, mean = 0, variance = 0;
  for (hg::index i = 0; i < 4; ++i) {
    double difference = 0, squares = 0;
    for (hg::index t = 0; t < r.tokens; ++t) {
      const auto order = largest(r.logits.row(t), 4, 3);
      const bool in = order[0] == i || order[1] == i;
      const double threshold = r.logits(t, in ? order[2] : order[1]);
      const double p = std::erfc((threshold - r.clean_logits(t, i)) / r.noise_scale(t, i) / std::sqrt(2.0)) / 2;
      load[i] += p;
      difference += p - (in ? 1 : 0);
      squares += std::pow(p - (in ? 1 : 0), 2);
    }
    CHECK(std::abs(difference) < 3 * std::sqrt(squares));
    mean += load[i] / 4;
  }
  for (const double one : load) variance += std::pow(one - mean, 2) / 4;
  CHECK(value_of(hg::load_balance<double>{}, r) == Approx(variance / (mean * mean)).epsilon(1e-10));
}

TEST_CASE("load_balance is E - 1 if one expert gets every token for certain", "[losses][load]") {
  const std::vector<std::vector<double>> far = {{90, 0, 0}, {90, 1, 0}}, one = {{1, 1, 1}, {1, 1, 1}},
                                         none = {{0, .1, 0}, {0, 0, .1}};
  CHECK(value_of(hg::load_balance<double>{}, noisy_record(far, one, none, 1)) == Approx(2).epsilon(1e-12));
}

TEST_CASE("the order of the assignments does not matter to load_balance", "[losses][load]") {
  auto r = random_record(8, 6, 3, score_kind::logits, 58, true);
  const double value = value_of(hg::load_balance<double>{}, r);
  std::reverse(r.assignments.begin(), r.assignments.end());
  CHECK(value_of(hg::load_balance<double>{}, r) == value);
}

TEST_CASE("a masked token has no load", "[losses][load]") {
  check_mask(with_mask, random_record(9, 5, 3, score_kind::logits, 59, true));
  check_mask(with_mask, random_record(9, 5, 3, score_kind::logits, 60));
}

TEST_CASE("load_balance is zero where there is no load", "[losses][load]") {
  check_nothing_to_do(with_mask, random_record(4, 3, 2, score_kind::logits, 61, true));
  auto r = random_record(4, 3, 2, score_kind::logits, 62, true);
  r.assignments.clear();
  CHECK(value_of(hg::load_balance<double>{}, r) == 0);
}

TEST_CASE("load_balance refuses noise without the logits it was added to", "[losses][load]") {
  auto r = random_record(4, 3, 2, score_kind::logits, 63, true);
  r.clean_logits.resize(0, 0);
  CHECK_THROWS_WITH(value_of(hg::load_balance<double>{}, r),
                    contains("load_balance: the gate records no logits before the noise"));
}

TEST_CASE("load_balance takes its working memory once", "[losses][load]") {
  check_reuses_memory(hg::load_balance<double>{}, random_record(9, 5, 3, score_kind::logits, 64, true));
}

TEST_CASE("an expert that is switched off adds no load and gets no gradient", "[losses][load]") {
  constexpr double off = -std::numeric_limits<double>::infinity();
  // The last expert is off, by its own logit or from outside; the loss of the others is that of a gate without it.
  const auto without = noisy_record(clean, scale, noise, 2);
  for (const bool from_outside : {false, true}) {
    auto wider = clean, scales = scale, numbers = noise;
    for (auto* rows : {&wider, &scales, &numbers})
      for (auto& row : *rows) row.push_back(0.5);
    auto r = noisy_record(wider, scales, numbers, 2);
    r.assignments = without.assignments;
    for (hg::index t = 0; t < r.tokens; ++t) {
      r.logits(t, 4) = off;
      if (!from_outside) r.clean_logits(t, 4) = off;
    }
    routing_gradient<double> d, of_without;
    d.reset(r);
    of_without.reset(without);
    const double value = hg::load_balance<double>{}(r, d);
    // CV^2 + 1 is experts * sum of squares / square of the sum, and a fifth load of 0 changes only the first.
    CHECK(value + 1 == Approx((hg::load_balance<double>{}(without, of_without) + 1) * 5 / 4).epsilon(1e-12));
    for (hg::index t = 0; t < r.tokens; ++t) {
      CHECK((d.logits(t, 4) == 0 && d.clean_logits(t, 4) == 0 && d.noise_scale(t, 4) == 0));
      for (hg::index e = 0; e < 4; ++e)
        CHECK(d.clean_logits(t, e) == Approx(of_without.clean_logits(t, e) * 5 / 4).epsilon(1e-10).margin(1e-14));
    }
  }
}

TEST_CASE("a token with no more experts on than are chosen counts them, without a gradient", "[losses][load]") {
  auto r = noisy_record(clean, scale, noise, 2);
  for (hg::index t = 0; t < r.tokens; ++t)
    for (hg::index e = 0; e < 4; ++e) {
      bool chosen = false;
      for (const auto& a : r.assignments) chosen = chosen || (a.token == t && a.expert == e);
      if (!chosen) r.logits(t, e) = -std::numeric_limits<double>::infinity();
    }
  routing_gradient<double> d;
  d.reset(r);
  CHECK(hg::load_balance<double>{}(r, d) == Approx(variation_of_counts(r)).epsilon(1e-12));
  CHECK(is_zero(d));
}

TEST_CASE("load_balance of float loses no digits over many tokens", "[losses][load]") {
  routing<float> r;
  r.reset(1000000, 4);
  for (auto* block : {&r.logits, &r.clean_logits, &r.noise_scale}) block->resize(r.tokens, r.experts);
  for (hg::index t = 0; t < r.tokens; ++t) {
    for (hg::index i = 0; i < 4; ++i) {
      r.clean_logits(t, i) = r.logits(t, i) = i == t % 5 % 4 ? 0.6F : 0.01F * static_cast<float>(i);
      r.noise_scale(t, i) = 0.5F;
    }
    r.assignments.push_back({t, t % 5 % 4, 1});
  }
  const auto wide = widened(r);
  routing_gradient<float> d;
  routing_gradient<double> expected;
  d.reset(r);
  expected.reset(wide);
  CHECK(static_cast<double>(hg::load_balance<float>{}(r, d)) ==
        Approx(hg::load_balance<double>{}(wide, expected)).epsilon(1e-5));
  for (hg::index t = 0; t < 5; ++t)
    CHECK(static_cast<double>(d.noise_scale(t, 0)) == Approx(expected.noise_scale(t, 0)).epsilon(1e-5));
}
