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

}  // namespace

TEST_CASE("a micro-batch term of one percent is a second loss", "[losses][global_balance]") {
  const auto r = random_record(9, 5, 3, score_kind::logits, 40);
  const auto counts = pooled({r, random_record(9, 5, 3, score_kind::logits, 41)});
  const hg::global_balance<double> whole{.weight = 8e-3, .counts = &counts};
  const hg::switch_balance<double> own{.weight = 0.01 * whole.weight};
  routing_gradient<double> d, of_whole, of_own;
  for (auto* one : {&d, &of_whole, &of_own}) one->reset(r);
  const double value = hg::add_losses(r, d, whole, own);
  CHECK(value == Approx(8e-3 * (whole(r, of_whole) + 0.01 * own(r, of_own))).epsilon(1e-14));
  for (hg::index i = 0; i < d.logits.size(); ++i)
    CHECK(d.logits.data()[i] == Approx(of_whole.logits.data()[i] + of_own.logits.data()[i]).margin(1e-17));
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
