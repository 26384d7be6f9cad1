// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/sequence_balance.hpp>
#include <headgate/losses/switch_balance.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

const std::vector<hg::index> ragged = {0, 2, 2, 6, 9};

/// The record of one sequence.
routing<double> part_of(const routing<double>& r, hg::index first, hg::index last) {
  auto mask = std::make_unique<bool[]>(static_cast<std::size_t>(r.tokens));
  for (hg::index t = first; t < last; ++t) mask[static_cast<std::size_t>(t)] = true;
  return without(r, {mask.get(), static_cast<std::size_t>(r.tokens)});
}

}  // namespace

TEST_CASE("sequence_balance is the mean of the sequences' switch_balance", "[losses][sequence_balance]") {
  for (const auto kind : {score_kind::distribution, score_kind::logits, score_kind::positive}) {
    const auto r = random_record(9, 5, 3, kind, 201);
    double sum = 0;
    for (const auto& [first, last] : {std::pair<hg::index, hg::index>{0, 2}, {2, 6}, {6, 9}})
      sum += value_of(hg::switch_balance<double>{}, part_of(r, first, last));
    CHECK(value_of(hg::sequence_balance<double>{.offsets = ragged}, r) == Approx(sum / 3).epsilon(1e-14));
    const std::vector<hg::index> thirds = {0, 3, 6, 9};
    CHECK(value_of(hg::sequence_balance<double>{.length = 3}, r) ==
          value_of(hg::sequence_balance<double>{.offsets = thirds}, r));
    CHECK(value_of(hg::sequence_balance<double>{.length = 9}, r) == value_of(hg::switch_balance<double>{}, r));
  }
}

TEST_CASE("sequence_balance has the golden value", "[losses][sequence_balance]") {
  // 4 (.4 + .3) / 2 = 1.4 for either token alone, 1.25 for both together.
  const auto r = record_of({{.4, .3, .2, .1}, {.4, .1, .3, .2}}, 2);
  CHECK(value_of(hg::sequence_balance<double>{.length = 1}, r) == Approx(1.4).epsilon(1e-14));
  CHECK(value_of(hg::sequence_balance<double>{.length = 2}, r) == Approx(1.25).epsilon(1e-14));
}

TEST_CASE("the probabilities of positive scores in sequence_balance are their shares, as in DeepSeek-V3",
          "[losses][sequence_balance]") {
  auto r = record_of({{.9, .3, .6}, {.2, .2, .4}});  // shares (.5, 1/6, 1/3) and (.25, .25, .5)
  r.scores_are = score_kind::positive;
  for (const hg::index t : {0, 1}) r.assignments.push_back({t, 2 * t, 1.0});
  CHECK(value_of(hg::sequence_balance<double>{.length = 2}, r) ==
        Approx(3 * (.5 * (.5 + .25) / 2 + .5 * (1.0 / 3 + .5) / 2)).epsilon(1e-14));
  CHECK(value_of(hg::sequence_balance<double>{.length = 1}, r) == Approx(3 * (.5 + .5) / 2).epsilon(1e-14));
}

TEST_CASE("the gradient of sequence_balance agrees with differences for every kind of score",
          "[losses][sequence_balance]") {
  const hg::sequence_balance<double> loss{.weight = 0.3, .offsets = ragged};
  CHECK(check_gradient(loss, random_record(9, 5, 3, score_kind::distribution, 202)) == "scores");
  CHECK(check_gradient(loss, random_record(9, 5, 3, score_kind::positive, 203)) == "scores");
  CHECK(check_gradient(loss, random_record(9, 5, 3, score_kind::logits, 204)) == "logits");
}

TEST_CASE("a masked token is absent from its sequence, and a sequence of masked tokens from the mean",
          "[losses][sequence_balance]") {
  const auto r = random_record(9, 5, 3, score_kind::logits, 205);
  const bool mask[9] = {false, false, true, false, true, true, true, false, false};
  const std::vector<hg::index> kept = {0, 3, 4};  // of the sequences [2, 6) and [6, 9), [0, 2) is gone
  const auto rest = without(r, mask);
  routing_gradient<double> d, expected;
  d.reset(r);
  expected.reset(rest);
  CHECK(hg::sequence_balance<double>{.weight = 0.7, .offsets = ragged, .mask = mask}(r, d) ==
        Approx(hg::sequence_balance<double>{.weight = 0.7, .offsets = kept}(rest, expected)).epsilon(1e-14));
  hg::index row = 0;
  for (hg::index t = 0; t < 9; ++t) {
    for (hg::index i = 0; i < 5; ++i)
      CHECK(d.logits(t, i) == Approx(mask[t] ? expected.logits(row, i) : 0.0).margin(1e-15));
    row += mask[t] ? 1 : 0;
  }
  const bool three[3] = {true, false, true};
  CHECK_THROWS_WITH(value_of(hg::sequence_balance<double>{.length = 3, .mask = three}, r),
                    contains("sequence_balance: the mask has 3 entries, the batch has 9 tokens"));
}

TEST_CASE("sequence_balance is zero where there is nothing to balance", "[losses][sequence_balance]") {
  check_nothing_to_do(
      [](std::span<const bool> mask) { return hg::sequence_balance<double>{.length = 2, .mask = mask}; },
      random_record(4, 3, 2, score_kind::positive, 206));
  auto half = record_of({{.5, .5}, {.2, .8}});  // the second sequence has a token and no assignment: a term of 0
  half.assignments.push_back({0, 0, 1.0});
  CHECK(value_of(hg::sequence_balance<double>{.length = 1}, half) == 0.5);
}

TEST_CASE("sequence_balance refuses sequences that do not fit and a record without scores",
          "[losses][sequence_balance]") {
  const auto r = random_record(4, 3, 2, score_kind::logits, 207);
  CHECK_THROWS_WITH(value_of(hg::sequence_balance<double>{}, r),
                    contains("sequence_balance: the sequences have neither"));
  CHECK_THROWS_WITH(value_of(hg::sequence_balance<double>{.length = 3}, r), contains("no multiple of the length 3"));
  CHECK_THROWS_WITH(value_of(hg::sequence_balance<double>{.length = 2}, random_record(4, 3, 2, score_kind::none, 208)),
                    contains("sequence_balance: the gate records no scores"));
}

TEST_CASE("sequence_balance takes its working memory once", "[losses][sequence_balance]") {
  check_reuses_memory(hg::sequence_balance<double>{.length = 3}, random_record(9, 5, 3, score_kind::logits, 209));
}
