// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/global_balance.hpp>
#include <headgate/losses/switch_balance.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

/// Groups of equal size whose tokens prefer different experts, so that the covariance is not small.
std::vector<routing<double>> groups_of(hg::index groups, hg::index tokens, hg::index experts, hg::index k) {
  std::vector<routing<double>> all;
  for (hg::index j = 0; j < groups; ++j)
    all.push_back(random_record(tokens, experts, -k, score_kind::distribution, static_cast<std::uint64_t>(100 + j)));
  return all;
}

hg::expert_counts pooled(const std::vector<routing<double>>& groups) {
  hg::expert_counts counts;
  for (const auto& r : groups) counts.collect(r);
  return counts;
}

routing<double> concatenated(const std::vector<routing<double>>& groups) {
  const hg::index tokens = groups.front().tokens, experts = groups.front().experts;
  routing<double> all;
  all.reset(tokens * static_cast<hg::index>(groups.size()), experts);
  all.scores_are = score_kind::distribution;
  all.scores.resize(all.tokens, experts);
  hg::index first = 0;
  for (const auto& r : groups) {
    std::copy_n(r.scores.data(), r.scores.size(), all.scores.row(first));
    for (const auto& a : r.assignments) all.assignments.push_back({first + a.token, a.expert, a.weight});
    first += tokens;
  }
  return all;
}

template <class Loss>
double mean_over(const std::vector<routing<double>>& groups, const Loss& loss) {
  double sum = 0;
  for (const auto& r : groups) sum += value_of(loss, r);
  return sum / static_cast<double>(groups.size());
}

}  // namespace

TEST_CASE("micro-batch balance minus global balance is E times the covariance of f and P", "[losses][global_balance]") {
  const hg::index n = 6, tokens = 5, experts = 4, k = 2;
  const auto groups = groups_of(n, tokens, experts, k);
  const auto counts = pooled(groups);
  const double micro = mean_over(groups, hg::switch_balance<double>{});
  const double global = mean_over(groups, hg::global_balance<double>{.counts = &counts});

  double covariance = 0;
  for (hg::index i = 0; i < experts; ++i) {
    double mean_f = 0, mean_p = 0, mean_fp = 0;
    for (const auto& r : groups) {
      double p = 0;
      for (hg::index t = 0; t < tokens; ++t) p += r.scores(t, i) / static_cast<double>(tokens);
      const double f = static_cast<double>(r.load()[i]) / static_cast<double>(k * tokens);
      mean_f += f / static_cast<double>(n);
      mean_p += p / static_cast<double>(n);
      mean_fp += f * p / static_cast<double>(n);
    }
    covariance += mean_fp - mean_f * mean_p;
  }
  CHECK(std::abs(micro - global - static_cast<double>(experts) * covariance) < 1e-12);
  CHECK(std::abs(micro - global) > 1e-3);
}

TEST_CASE("the mean of global_balance over the groups is the balance of the whole batch", "[losses][global_balance]") {
  const auto groups = groups_of(6, 5, 4, 2);
  const auto counts = pooled(groups);
  const double mean = mean_over(groups, hg::global_balance<double>{.counts = &counts});
  CHECK(std::abs(mean - value_of(hg::switch_balance<double>{}, concatenated(groups))) < 1e-12);
}

TEST_CASE("global_balance of a single group is switch_balance, value and gradient", "[losses][global_balance]") {
  for (const auto kind : {score_kind::distribution, score_kind::logits, score_kind::positive}) {
    const auto r = random_record(9, 5, 3, kind, 30);
    const auto counts = pooled({r});
    routing_gradient<double> micro, global;
    micro.reset(r);
    global.reset(r);
    CHECK(hg::global_balance<double>{.weight = 0.3, .counts = &counts}(r, global) ==
          Approx(hg::switch_balance<double>{.weight = 0.3}(r, micro)).epsilon(1e-14));
    for (hg::index i = 0; i < r.scores.size(); ++i) {
      CHECK(global.scores.data()[i] == Approx(micro.scores.data()[i]).margin(1e-15));
      CHECK(global.logits.data()[i] == Approx(micro.logits.data()[i]).margin(1e-15));
    }
  }
}

TEST_CASE("global_balance has the golden values", "[losses][global_balance]") {
  const auto golden = [](const routing<double>& r) {
    const auto counts = pooled({r});
    return value_of(hg::global_balance<double>{.counts = &counts}, r);
  };
  CHECK(golden(record_of({{.51, .49}, {.51, .49}, {.01, .99}}, 1)) == Approx(0.8955555555555554).epsilon(1e-14));
  CHECK(golden(record_of({{.4, .3, .2, .1}, {.4, .1, .3, .2}}, 2)) == Approx(1.25).epsilon(1e-14));

  // The second is 1.25 as well in two groups of one token: 4 (2 * .4 + .3 + .2) / 4 and 4 (2 * .4 + .1 + .3) / 4.
  const auto first = record_of({{.4, .3, .2, .1}}, 2), second = record_of({{.4, .1, .3, .2}}, 2);
  const auto counts = pooled({first, second});
  CHECK(value_of(hg::global_balance<double>{.counts = &counts}, first) == Approx(1.3).epsilon(1e-14));
  CHECK(value_of(hg::global_balance<double>{.counts = &counts}, second) == Approx(1.2).epsilon(1e-14));
}

TEST_CASE("the buffer equals the micro-batch loss at every step if all micro-batches are the same",
          "[losses][global_balance]") {
  const auto r = random_record(9, 5, 3, score_kind::logits, 31);
  const double micro = value_of(hg::switch_balance<double>{}, r);
  hg::expert_counts counts;
  for (int step = 0; step < 4; ++step) {
    counts.collect(r);
    CHECK(value_of(hg::global_balance<double>{.counts = &counts}, r) == Approx(micro).epsilon(1e-14));
  }
}

TEST_CASE("at the last accumulation step the buffer has the frequencies of the whole batch",
          "[losses][global_balance]") {
  const auto groups = groups_of(4, 5, 4, 2);
  const auto whole = concatenated(groups).load();
  hg::expert_counts counts;
  for (int optimizer_step = 0; optimizer_step < 2; ++optimizer_step) {
    for (const auto& micro_batch : groups) counts.collect(micro_batch);
    for (hg::index i = 0; i < 4; ++i) CHECK(counts[i] == whole[i]);
    counts.reset();
  }
}

TEST_CASE("logits change global_balance through the probabilities alone", "[losses][global_balance]") {
  auto r = random_record(9, 5, 3, score_kind::logits, 32);
  const auto counts = pooled({r, random_record(9, 5, 3, score_kind::logits, 33)});
  CHECK(check_gradient(hg::global_balance<double>{.weight = 0.3, .counts = &counts}, r) == "logits");

  // f of the old choice and P of the new logits, although these would choose differently.
  for (hg::index i = 0; i < r.logits.size(); ++i) r.logits.data()[i] = -r.logits.data()[i];
  double expected = 0;
  for (hg::index t = 0; t < r.tokens; ++t) {
    double p[5];
    plain_softmax(r.logits.row(t), p, 5);
    for (hg::index i = 0; i < 5; ++i)
      expected += 5 * static_cast<double>(counts[i]) / static_cast<double>(counts.total()) * p[i] / 9;
  }
  CHECK(value_of(hg::global_balance<double>{.counts = &counts}, r) == Approx(expected).epsilon(1e-13));
}

TEST_CASE("the gradient of global_balance agrees with differences for every kind of score",
          "[losses][global_balance]") {
  const auto counts = pooled(groups_of(3, 7, 5, 2));
  const hg::global_balance<double> loss{.weight = 0.3, .counts = &counts};
  CHECK(check_gradient(loss, random_record(9, 5, 3, score_kind::distribution, 34)) == "scores");
  CHECK(check_gradient(loss, random_record(9, 5, 3, score_kind::positive, 35)) == "scores");
}

TEST_CASE("a masked token has no probability in global_balance", "[losses][global_balance]") {
  const auto counts = pooled(groups_of(3, 7, 5, 2));
  const auto with_mask = [&](std::span<const bool> mask) {
    return hg::global_balance<double>{.weight = 0.7, .counts = &counts, .mask = mask};
  };
  check_mask(with_mask, random_record(9, 5, 3, score_kind::distribution, 36));
  check_nothing_to_do(with_mask, random_record(4, 5, 2, score_kind::logits, 37));
}

TEST_CASE("global_balance is zero as long as nothing is counted", "[losses][global_balance]") {
  const hg::expert_counts counts;
  CHECK(value_of(hg::global_balance<double>{.counts = &counts}, random_record(4, 3, 2, score_kind::logits, 38)) == 0);
}

TEST_CASE("global_balance refuses missing counts and counts of another layer", "[losses][global_balance]") {
  const auto r = random_record(4, 3, 2, score_kind::logits, 39);
  CHECK_THROWS_WITH(value_of(hg::global_balance<double>{}, r), contains("counts is null"));
  const auto counts = pooled(groups_of(1, 7, 5, 2));
  CHECK_THROWS_WITH(value_of(hg::global_balance<double>{.counts = &counts}, r),
                    contains("the counts are of 5 experts, the record has 3"));
}
