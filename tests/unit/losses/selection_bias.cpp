// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/thread_ranks.hpp>
#include <headgate/losses/selection_bias.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

#include <limits>

namespace hg = headgate;
using namespace headgate_test;

TEST_CASE("the selection bias moves against the load by the sign alone", "[losses][selection_bias]") {
  hg::matrix<float> bias = hg::matrix<float>::Zero(1, 4);
  const std::vector<hg::index> counts = {100, 10, 0, 10};  // mean 30
  hg::update_selection_bias(bias, counts, 0.5f);
  CHECK(bias(0, 0) == -0.5f);
  CHECK(bias(0, 1) == 0.5f);
  CHECK(bias(0, 2) == 0.5f);
  CHECK(bias(0, 3) == 0.5f);
}

TEST_CASE("an expert with exactly the mean load keeps its bias", "[losses][selection_bias]") {
  hg::matrix<double> bias = hg::matrix<double>::Constant(1, 3, 0.25);
  hg::update_selection_bias(bias, std::vector<hg::index>{3, 1, 2});
  CHECK(bias(0, 0) == 0.25 - 1e-3);
  CHECK(bias(0, 1) == 0.25 + 1e-3);
  CHECK(bias(0, 2) == 0.25);
  // Counts whose mean no float holds, and of which two differ from it by 1 in 2^53.
  const hg::index large = (hg::index{1} << 53) + 1;
  bias.setZero();
  hg::update_selection_bias(bias, std::vector<hg::index>{large, large - 1, large + 1}, 1.0);
  CHECK(bias(0, 0) == 0);
  CHECK(bias(0, 1) == 1);
  CHECK(bias(0, 2) == -1);
}

TEST_CASE("equal counts and no counts leave the bias as it is", "[losses][selection_bias]") {
  hg::matrix<float> bias = hg::matrix<float>::Constant(1, 3, 0.25f);
  hg::update_selection_bias(bias, std::vector<hg::index>{7, 7, 7});
  hg::update_selection_bias(bias, std::vector<hg::index>{0, 0, 0});
  CHECK((bias.array() == 0.25f).all());
}

TEST_CASE("the bias takes counts from an accumulator and from a record", "[losses][selection_bias]") {
  const auto r = random_record(9, 4, 3, score_kind::none, 95);
  hg::expert_counts counts;
  counts.collect(r);
  hg::matrix<float> first = hg::matrix<float>::Zero(1, 4), second = first;
  hg::update_selection_bias(first, counts);
  hg::update_selection_bias(second, r.load());
  CHECK(first == second);
  CHECK(first.cwiseAbs().maxCoeff() == 1e-3f);
}

TEST_CASE("repeated updates balance a top-1 choice that the scores leave to one expert", "[losses][selection_bias]") {
  loss_numbers draw(96);
  hg::matrix<double> bias = hg::matrix<double>::Zero(1, 4);
  hg::index worst = 0;
  for (int step = 0; step < 400; ++step) {
    std::vector<hg::index> counts(4);
    for (hg::index t = 0; t < 100; ++t) {
      double s[4];
      for (hg::index i = 0; i < 4; ++i) s[i] = 0.2 * draw() + (i == 0 ? 1 : 0) + bias(0, i);
      ++counts[static_cast<std::size_t>(largest(s, 4, 1).front())];
    }
    worst = *std::max_element(counts.begin(), counts.end());
    if (step == 0) CHECK(worst == 100);
    hg::update_selection_bias(bias, counts, 5e-3);
  }
  CHECK(worst < 50);
}

TEST_CASE("a bias of the wrong shape and a negative rate are refused with their numbers", "[losses][selection_bias]") {
  hg::matrix<float> bias = hg::matrix<float>::Zero(4, 1);
  const std::vector<hg::index> counts = {1, 2, 3, 4};
  CHECK_THROWS_WITH(hg::update_selection_bias(bias, counts),
                    contains("the bias is 4 x 1, the counts are of 4 experts"));
  bias.setZero(1, 4);
  CHECK_THROWS_WITH(hg::update_selection_bias(bias, counts, -0.5f), contains("the rate is -0.5"));
  CHECK_THROWS_WITH(hg::update_selection_bias(bias, counts, std::nanf("")), contains("the rate is nan"));
  CHECK_THROWS_WITH(hg::update_selection_bias(bias, counts, std::numeric_limits<float>::infinity()),
                    contains("the rate is inf, it must be finite and at least 0"));
  CHECK(bias.isZero(0));
}

TEST_CASE("ranks move the bias to the bits of one rank with the whole batch", "[losses][selection_bias]") {
  for (const hg::index ranks : {2, 3, 5}) {
    constexpr int steps = 4;
    const auto record = [](hg::index rank, int step) {  // rank 1 has no token
      return random_record(rank == 1 ? 0 : 4 + rank, 6, 3, score_kind::none,
                           static_cast<std::uint64_t>(7 * rank + step));
    };
    hg::matrix<float> whole = hg::matrix<float>::Zero(1, 6);
    for (int step = 0; step < steps; ++step) {
      routing<double> batch;
      batch.reset(0, 6);
      for (hg::index rank = 0; rank < ranks; ++rank) {
        const auto r = record(rank, step);
        for (const auto& a : r.assignments) batch.assignments.push_back({batch.tokens + a.token, a.expert, a.weight});
        batch.tokens += r.tokens;
      }
      hg::expert_counts counts;
      counts.collect(batch);
      hg::update_selection_bias(whole, counts);
    }
    std::vector<hg::matrix<float>> of_rank(static_cast<std::size_t>(ranks), hg::matrix<float>::Zero(1, 6));
    hg::run_thread_ranks(ranks, [&](hg::thread_rank& rank) {
      hg::expert_counts counts;
      for (int step = 0; step < steps; ++step) {
        counts.reset();
        counts.collect(rank, record(rank.rank(), step));
        hg::update_selection_bias(of_rank[static_cast<std::size_t>(rank.rank())], counts);
      }
    });
    CHECK(whole.cwiseAbs().maxCoeff() > 0);
    for (const auto& bias : of_rank) CHECK(bias == whole);
  }
}
