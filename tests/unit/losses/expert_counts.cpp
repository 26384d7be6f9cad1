// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/expert_counts.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

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
