// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/thread_ranks.hpp>
#include <headgate/losses/counted_choices.hpp>
#include <headgate/losses/expert_counts.hpp>
#include <headgate/losses/global_balance.hpp>
#include <headgate/losses/selection_bias.hpp>
#include <headgate/losses/sequence_balance.hpp>
#include <headgate/losses/switch_balance.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hg = headgate;
using namespace headgate_test;
using hg::counted_choices;

namespace {

const hg::switch_balance<double> first_alone{.weight = 0.3, .choices = counted_choices::first};

/// The record with the first choice of each token alone, found by looking through it once for every token.
routing<double> first_choices(const routing<double>& r) {
  auto first = r;
  first.assignments.clear();
  for (hg::index t = 0; t < r.tokens; ++t) {
    const auto of_token = [t](const auto& a) { return a.token == t; };
    const auto* const found = std::find_if(r.assignments.data(), r.assignments.data() + r.assignments.size(), of_token);
    if (found != r.assignments.data() + r.assignments.size()) first.assignments.push_back(*found);
  }
  return first;
}

/// The same assignments in another order, in which each token's choices keep theirs: all first ones, then all second ones.
routing<double> by_choice(routing<double> r) {
  auto rest = r;
  r.assignments.clear();
  while (rest.assignments.size() > 0) {
    std::vector<bool> placed(static_cast<std::size_t>(r.tokens));
    hg::array<hg::assignment<double>> later;
    for (const auto& a : rest.assignments) {
      const auto t = static_cast<std::size_t>(a.token);
      if (placed[t])
        later.push_back(a);
      else
        r.assignments.push_back(a);
      placed[t] = true;
    }
    rest.assignments = later;
  }
  return r;
}

void check_same(const hg::expert_counts& a, const std::vector<hg::index>& b) {
  CHECK(std::vector<hg::index>(a.counts().begin(), a.counts().end()) == b);
}

std::vector<hg::index> load_of(const routing<double>& r) {
  const auto load = r.load();
  return {load.begin(), load.end()};
}

}  // namespace

TEST_CASE("first choices have the golden value of balance", "[losses][counted_choices]") {
  // Both tokens' first choice is expert 0: f = (4, 0, 0, 0), hence 4 P_0. All choices give 1.25.
  const auto r = record_of({{.4, .3, .2, .1}, {.4, .1, .3, .2}}, 2);
  CHECK(value_of(first_alone, r) == Approx(1.6).epsilon(1e-14));
  // GShard's l_aux is sum_e c_e / S m_e / E = (2 / 2 * 0.4) / 4, this over E^2.
  CHECK(value_of(first_alone, r) / 16 == Approx(0.1).epsilon(1e-14));
}

TEST_CASE("balance of first choices is balance of the record without the others, bit for bit",
          "[losses][counted_choices]") {
  for (const auto kind : {score_kind::distribution, score_kind::logits, score_kind::positive}) {
    auto r = random_record(9, 5, 3, kind, 51);
    r.assignments.push_back({0, 4, 0.1});  // not beside the token's other choice
    const std::array<hg::index, 4> offsets{0, 2, 2, 9};
    for (const auto& one : {r, by_choice(r)}) {
      const auto check = [&](auto loss) {
        routing_gradient<double> d, expected;
        d.reset(one);
        const double value = loss(one, d);
        const auto alone = first_choices(one);
        expected.reset(alone);
        loss.choices = counted_choices::all;
        CHECK(value == loss(alone, expected));
        CHECK(value != value_of(loss, one));
        CHECK(blocks_of(d)[1].values == blocks_of(expected)[1].values);
        CHECK(blocks_of(d)[2].values == blocks_of(expected)[2].values);
      };
      check(first_alone);
      check(hg::sequence_balance<double>{.weight = 0.3, .offsets = offsets, .choices = counted_choices::first});
    }
  }
}

TEST_CASE("the gradient of balance of first choices agrees with differences", "[losses][counted_choices]") {
  CHECK(check_gradient(first_alone, random_record(9, 5, 3, score_kind::distribution, 52)) == "scores");
  CHECK(check_gradient(first_alone, random_record(9, 5, 3, score_kind::positive, 53)) == "scores");
  CHECK(check_gradient(first_alone, random_record(9, 5, 3, score_kind::logits, 54)) == "logits");
}

TEST_CASE("a masked token has no first choice", "[losses][counted_choices]") {
  const auto with_mask = [](std::span<const bool> mask) {
    return hg::switch_balance<double>{.weight = 0.7, .mask = mask, .choices = counted_choices::first};
  };
  check_mask(with_mask, random_record(9, 5, 3, score_kind::logits, 55));
  check_nothing_to_do(with_mask, random_record(4, 3, 2, score_kind::positive, 56));
}

TEST_CASE("with one choice a token the first choices are all", "[losses][counted_choices]") {
  const auto r = random_record(9, 5, -1, score_kind::logits, 57);
  CHECK(value_of(first_alone, r) == value_of(hg::switch_balance<double>{}, r));
}

TEST_CASE("expert_counts adds up first choices over micro-batches of any size, and the losses take them",
          "[losses][counted_choices]") {
  const auto a = random_record(4, 5, 3, score_kind::logits, 58), b = random_record(9, 5, 2, score_kind::logits, 59);
  hg::expert_counts counts(counted_choices::first);
  CHECK(counts.choices() == counted_choices::first);
  std::vector<hg::index> expected(5);
  for (const auto& r : {a, b, a}) {
    counts.collect(r);
    for (std::size_t i = 0; i < 5; ++i) expected[i] += load_of(first_choices(r))[i];
  }
  check_same(counts, expected);
  counts.reset();
  counts.collect(a);  // after reset still first choices
  check_same(counts, load_of(first_choices(a)));
  CHECK(value_of(hg::global_balance<double>{.counts = &counts}, a) == value_of(first_alone, a));

  hg::matrix<double> bias = hg::matrix<double>::Zero(1, 5);
  hg::update_selection_bias(bias, counts, 1.0);
  for (hg::index i = 0; i < 5; ++i) CHECK((bias(0, i) > 0) == (5 * counts[i] < counts.total()));
}

TEST_CASE("expert_counts refuses to mix first choices with all", "[losses][counted_choices]") {
  const auto r = random_record(4, 5, 3, score_kind::none, 60);
  hg::expert_counts all, first(5, counted_choices::first);
  all.collect(r);
  first.collect(r);
  CHECK_THROWS_WITH(all.merge(first),
                    contains("expert_counts::merge: the counts are of first choices, these are of all choices"));
  check_same(all, load_of(r));
  first.merge(first);
  CHECK(first.total() == 2 * r.tokens);
}

TEST_CASE("first choices are counted over ranks as over accumulation steps", "[losses][counted_choices][ranks]") {
  constexpr std::size_t ranks = 3;
  const auto record = [](hg::index rank) {  // rank 1 has no token
    return random_record(rank == 1 ? 0 : 5 + rank, 4, 3, score_kind::none, static_cast<std::uint64_t>(61 + rank));
  };
  std::vector<hg::index> expected(4);
  for (hg::index rank = 0; rank < 3; ++rank)
    for (std::size_t i = 0; i < 4; ++i) expected[i] += load_of(first_choices(record(rank)))[i];
  std::array<std::vector<hg::index>, ranks> found;
  hg::run_thread_ranks(ranks, [&](hg::thread_rank& rank) {
    hg::expert_counts counts(counted_choices::first);
    counts.collect(rank, record(rank.rank()));
    found[static_cast<std::size_t>(rank.rank())] = {counts.counts().begin(), counts.counts().end()};
  });
  for (const auto& one : found) CHECK(one == expected);
}

TEST_CASE("first choices of a record that does not tell them apart are refused before anything is counted",
          "[losses][counted_choices]") {
  auto r = random_record(4, 5, 3, score_kind::logits, 64);
  const std::array<hg::index, 2> offsets{0, 4};
  const hg::sequence_balance<double> of_sequences{.offsets = offsets, .choices = counted_choices::first};
  hg::expert_counts first(counted_choices::first), all;
  first.collect(r);
  const hg::index before = first.total();
  r.best_first = false;
  const std::string sentence =
      ": first choices are to be counted, but the gate does not say that it lists a token's experts best first "
      "(routing::best_first, docs/writing-a-gate.md)";
  routing_gradient<double> d;
  d.reset(r);
  CHECK_THROWS_WITH(first_alone(r, d), "switch_balance" + sentence);
  CHECK_THROWS_WITH(of_sequences(r, d), "sequence_balance" + sentence);
  CHECK(is_zero(d));
  CHECK_THROWS_WITH(first.collect(r), "expert_counts::collect" + sentence);
  CHECK(first.total() == before);
  all.collect(r);
  CHECK(all.total() == r.assignments.size());
  CHECK_NOTHROW(value_of(hg::global_balance<double>{.counts = &first}, r));  // has its counts from elsewhere
  r.assignments.clear();
  CHECK_NOTHROW(first.collect(r));
}

TEST_CASE("a rank whose record does not tell first choices apart says so, and no rank counts",
          "[losses][counted_choices][ranks]") {
  hg::run_thread_ranks(3, [&](hg::thread_rank& rank) {
    auto r = random_record(5, 4, 3, score_kind::none, 65);
    r.best_first = rank.rank() != 1;
    hg::expert_counts counts(counted_choices::first);
    CHECK_THROWS_WITH(counts.collect(rank, r),
                      contains(rank.rank() == 1 ? "the gate does not say that it lists a token's experts best first"
                                                : "1 of 3 ranks refused"));
    CHECK(counts.total() == 0);
    r.best_first = true;
    counts.collect(rank, r);  // the group goes on
    CHECK(counts.total() == 15);
  });
}
