// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/single_rank.hpp>
#include <headgate/communicators/thread_ranks.hpp>
#include <headgate/losses/expert_counts.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace hg = headgate;
using namespace headgate_test;

TEST_CASE("expert_counts adds up micro-batches", "[losses][expert_counts]") {
  const auto a = random_record(7, 4, 3, score_kind::none, 1), b = random_record(5, 4, 2, score_kind::none, 2);
  hg::expert_counts counts;
  CHECK(counts.total() == 0);
  counts.collect(a);
  counts.collect(b);
  CHECK(counts.total() == a.assignments.size() + b.assignments.size());
  for (hg::index i = 0; i < 4; ++i) CHECK(counts[i] == a.load()[i] + b.load()[i]);
}

TEST_CASE("merging the counts of two ranks is collecting both", "[losses][expert_counts]") {
  const auto a = random_record(7, 4, 3, score_kind::none, 1), b = random_record(5, 4, 2, score_kind::none, 2);
  hg::expert_counts both, first, second, none;
  both.collect(a);
  both.collect(b);
  first.collect(a);
  second.collect(b);
  first.merge(second);
  first.merge(none);
  for (hg::index i = 0; i < 4; ++i) CHECK(first[i] == both[i]);
  none.merge(both);
  for (hg::index i = 0; i < 4; ++i) CHECK(none[i] == both[i]);
}

TEST_CASE("the counts may be reduced over ranks in place", "[losses][expert_counts]") {
  hg::expert_counts counts(3);  // a rank without a batch still has three numbers to send
  CHECK(counts.counts().size() == 3);
  for (hg::index& count : counts.counts()) count += 5;
  CHECK(counts.total() == 15);
  CHECK(counts[2] == 5);
}

TEST_CASE("reset empties the counts and keeps the experts", "[losses][expert_counts]") {
  hg::expert_counts counts;
  counts.collect(random_record(7, 4, 3, score_kind::none, 1));
  const hg::index* memory = counts.counts().data();
  counts.reset();
  CHECK(counts.total() == 0);
  CHECK(counts.experts() == 4);
  counts.collect(random_record(7, 4, 3, score_kind::none, 1));
  CHECK(counts.counts().data() == memory);
}

TEST_CASE("expert_counts leaves masked tokens out", "[losses][expert_counts]") {
  const auto r = random_record(7, 4, 3, score_kind::none, 1);
  const auto mask = some_mask(7);
  hg::expert_counts counts;
  counts.collect(r, {mask.get(), 7});
  const auto expected = without(r, {mask.get(), 7}).load();
  for (hg::index i = 0; i < 4; ++i) CHECK(counts[i] == expected[i]);
  CHECK_THROWS_WITH(counts.collect(r, {mask.get(), 6}), contains("the mask has 6 entries, the batch has 7 tokens"));
}

TEST_CASE("expert_counts refuses records of other numbers of experts", "[losses][expert_counts]") {
  hg::expert_counts counts;
  counts.collect(random_record(7, 4, 3, score_kind::none, 1));
  CHECK_THROWS_WITH(counts.collect(random_record(7, 5, 3, score_kind::none, 1)),
                    contains("5 experts, the counts so far are of 4"));
  CHECK_THROWS_WITH(counts.merge(hg::expert_counts(6)), contains("6 experts, the counts so far are of 4"));
}

TEST_CASE("collecting alone through a communicator is collecting", "[losses][expert_counts]") {
  hg::single_rank alone;
  const auto r = random_record(7, 4, 3, score_kind::none, 1);
  const auto mask = some_mask(7);
  hg::expert_counts counts, expected;
  for (int step = 0; step < 3; ++step) {
    counts.collect(alone, r, {mask.get(), 7});
    expected.collect(r, {mask.get(), 7});
  }
  CHECK(std::equal(counts.counts().begin(), counts.counts().end(), expected.counts().begin()));
}

TEST_CASE("every rank has the counts of all ranks and of all steps so far, the current one included",
          "[losses][expert_counts]") {
  for (const hg::index ranks : {1, 2, 3, 4, 7}) {
    constexpr hg::index steps = 3;
    const auto record = [](hg::index rank, hg::index step) {  // the last rank has no token in the second step
      const bool empty = rank > 0 && rank % 3 == 0 && step == 1;
      return random_record(empty ? 0 : 5 + rank, 4, 3, score_kind::none, static_cast<std::uint64_t>(10 * rank + step));
    };
    std::array<hg::expert_counts, steps> expected;
    hg::expert_counts so_far;
    for (hg::index step = 0; step < steps; ++step) {
      for (hg::index rank = 0; rank < ranks; ++rank) {
        const auto r = record(rank, step);
        const auto mask = some_mask(r.tokens);
        so_far.collect(r, {mask.get(), static_cast<std::size_t>(r.tokens)});
      }
      expected[static_cast<std::size_t>(step)] = so_far;
    }
    std::array<bool, 7> same{};
    hg::run_thread_ranks(ranks, [&](hg::thread_rank& rank) {
      hg::expert_counts counts;
      bool equal = true;
      for (hg::index step = 0; step < steps; ++step) {
        const auto r = record(rank.rank(), step);
        const auto mask = some_mask(r.tokens);
        counts.collect(rank, r, {mask.get(), static_cast<std::size_t>(r.tokens)});
        const auto all = counts.counts(), wanted = expected[static_cast<std::size_t>(step)].counts();
        equal = equal && std::equal(all.begin(), all.end(), wanted.begin(), wanted.end());
      }
      same[static_cast<std::size_t>(rank.rank())] = equal;
    });
    CHECK(std::count(same.begin(), same.end(), true) == ranks);
  }
}

TEST_CASE("where one rank refuses its record all do, nothing is collected, and the group goes on",
          "[losses][expert_counts]") {
  constexpr std::size_t ranks = 3;
  const auto r = random_record(7, 4, 3, score_kind::none, 1), other = random_record(7, 6, 3, score_kind::none, 2);
  const bool three[3] = {true, true, false};
  std::array<std::string, ranks> of_mask, of_experts;
  std::array<hg::index, ranks> before{}, between{}, after{};
  hg::run_thread_ranks(ranks, [&](hg::thread_rank& rank) {
    const auto me = static_cast<std::size_t>(rank.rank());
    hg::expert_counts counts;
    const auto sentence_of = [&](const routing<double>& record, std::span<const bool> mask) {
      try {
        counts.collect(rank, record, mask);
      } catch (const std::invalid_argument& error) {
        return std::string(error.what());
      }
      return std::string();
    };
    of_mask[me] = sentence_of(r, me == 1 ? std::span<const bool>(three) : std::span<const bool>());
    before[me] = counts.total();
    counts.collect(rank, r);
    between[me] = counts.total();
    of_experts[me] = sentence_of(me == 2 ? other : r, {});
    after[me] = counts.total();
  });
  const std::string by_others = "expert_counts::collect: 1 of 3 ranks refused, nothing was collected";
  CHECK(of_mask[0] == by_others);
  CHECK(of_mask[1] == "expert_counts::collect: the mask has 3 entries, the batch has 7 tokens");
  CHECK(of_mask[2] == by_others);
  CHECK(of_experts[0] == by_others);
  CHECK(of_experts[2] == "expert_counts::collect: 6 experts, the counts so far are of 4");
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    CHECK(before[rank] == 0);
    CHECK(between[rank] == 3 * r.assignments.size());
    CHECK(after[rank] == between[rank]);
  }
}

TEST_CASE("a rank that ends before it collects does not leave the others waiting", "[losses][expert_counts]") {
  const auto r = random_record(7, 4, 3, score_kind::none, 1);
  CHECK_THROWS_WITH(hg::run_thread_ranks(3,
                                         [&](hg::thread_rank& rank) {
                                           if (rank.rank() == 1) throw std::invalid_argument("no input");
                                           hg::expert_counts counts;
                                           counts.collect(rank, r);
                                         }),
                    contains("rank 1: no input"));
}

TEST_CASE("ranks that count different choices all refuse, nothing is collected, and the group goes on",
          "[losses][expert_counts]") {
  constexpr std::size_t ranks = 3;
  const auto r = random_record(7, 4, 3, score_kind::none, 1);
  std::array<std::string, ranks> said;
  std::array<hg::index, ranks> before{}, after{};
  hg::run_thread_ranks(ranks, [&](hg::thread_rank& rank) {
    const auto me = static_cast<std::size_t>(rank.rank());
    hg::expert_counts counts(rank.rank() == 1 ? hg::counted_choices::first : hg::counted_choices::all);
    try {
      counts.collect(rank, r);
    } catch (const std::invalid_argument& error) {
      said[me] = error.what();
    }
    before[me] = counts.total();
    hg::expert_counts first(hg::counted_choices::first);
    first.collect(rank, r);
    after[me] = first.total();
  });
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    CHECK(said[rank] ==
          "expert_counts::collect: 1 of 3 ranks count first choices, the others all choices; nothing was collected");
    CHECK(before[rank] == 0);
    CHECK(after[rank] == 3 * r.tokens);
  }
}

TEST_CASE("ranks whose counts are of different numbers of experts end in an error of the group",
          "[losses][expert_counts]") {
  CHECK_THROWS_AS(hg::run_thread_ranks(2,
                                       [&](hg::thread_rank& rank) {
                                         hg::expert_counts counts;
                                         counts.collect(rank,
                                                        random_record(7, 4 + rank.rank(), 3, score_kind::none, 1));
                                       }),
                  hg::communicator_error);
}
