// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/thread_ranks.hpp>
#include <headgate/losses/batch_sums.hpp>
#include <headgate/losses/importance.hpp>
#include <headgate/losses/mutual_information.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

#include <array>
#include <string>
#include <vector>

namespace hg = headgate;
using namespace headgate_test;

namespace {

constexpr hg::index experts = 5;
constexpr std::array<score_kind, 3> kinds{score_kind::distribution, score_kind::logits, score_kind::positive};

/// Micro-batches of other sizes each, one with nothing in it, one with a mask of its pass.
std::vector<routing<double>> parts_of(score_kind kind) {
  std::vector<routing<double>> parts;
  for (const hg::index tokens : {7, 3, 11}) {
    parts.push_back(random_record(tokens, experts, 3, kind, static_cast<std::uint64_t>(60 + tokens)));
  }
  const bool mask[] = {true, false, true};
  parts[1].keep_mask(mask);
  parts.emplace_back();
  parts.back().reset(0, experts);
  parts.back().scores_are = kind;
  return parts;
}

/// All tokens that count as one record.
routing<double> whole_of(const std::vector<routing<double>>& parts) {
  std::vector<std::pair<const routing<double>*, hg::index>> tokens;
  for (const auto& part : parts)
    for (hg::index t = 0; t < part.tokens; ++t)
      if (part.mask.size() == 0 || part.mask(t, 0)) tokens.emplace_back(&part, t);
  routing<double> whole;
  whole.reset(static_cast<hg::index>(tokens.size()), experts);
  whole.scores_are = parts.front().scores_are;
  whole.logits.resize(whole.tokens, experts);
  whole.scores.resize(whole.tokens, experts);
  for (hg::index t = 0; t < whole.tokens; ++t) {
    const auto& [part, token] = tokens[static_cast<std::size_t>(t)];
    std::copy_n(part->logits.row(token), experts, whole.logits.row(t));
    std::copy_n(part->scores.row(token), experts, whole.scores.row(t));
    for (const auto& a : part->assignments)
      if (a.token == token) whole.assignments.push_back({t, a.expert, a.weight});
  }
  return whole;
}

/// The value, then the gradient of all that counts: by token, and that of the weights by assignment.
template <class Loss>
std::vector<double> told_by(const Loss& loss, const routing<double>& r) {
  routing_gradient<double> d;
  d.reset(r);
  std::vector<double> told{loss(r, d)};
  for (hg::index t = 0; t < r.tokens; ++t) {
    if (r.mask.size() != 0 && !r.mask(t, 0)) continue;
    for (const auto* block : {&d.logits, &d.scores})
      told.insert(told.end(), block->row(t), block->row(t) + block->cols());
    for (hg::index a = 0; a < r.assignments.size(); ++a)
      if (r.assignments[a].token == t) told.push_back(d.weights(a, 0));
  }
  return told;
}

/// The mean of a pooled loss over its micro-batches against the loss of all tokens.
template <class Loss>
void check_mean(Loss loss, score_kind kind) {
  INFO(loss.name << ", kind " << static_cast<int>(kind));
  const auto parts = parts_of(kind);
  hg::batch_sums<double> sums;
  for (const auto& part : parts) sums.collect(part);
  const auto expected = told_by(loss, whole_of(parts));
  loss.sums = &sums;
  std::vector<double> mean{0};
  for (const auto& part : parts) {
    const auto told = told_by(loss, part);
    mean[0] += told[0] / static_cast<double>(parts.size());
    for (std::size_t i = 1; i < told.size(); ++i) mean.push_back(told[i] / static_cast<double>(parts.size()));
  }
  REQUIRE(mean.size() == expected.size());
  for (std::size_t i = 0; i < mean.size(); ++i) CHECK(mean[i] == Approx(expected[i]).epsilon(1e-12).margin(1e-15));
}

/// One micro-batch's sums change nothing, not a bit.
template <class Loss>
void check_alone(Loss loss) {
  const auto part = parts_of(score_kind::logits)[1];
  hg::batch_sums<double> sums;
  sums.collect(part);
  const auto expected = told_by(loss, part);
  loss.sums = &sums;
  CHECK(told_by(loss, part) == expected);
}

}  // namespace

TEST_CASE("batch_sums are the sums of weights and of probabilities over the tokens that count",
          "[losses][batch_sums]") {
  for (const auto kind : kinds) {
    const auto parts = parts_of(kind);
    const auto whole = whole_of(parts);
    hg::batch_sums<double> sums;
    CHECK(sums.parts() == 0);
    for (const auto& part : parts) sums.collect(part);
    CHECK((sums.experts() == experts && sums.parts() == 4 && sums.tokens() == 20 && whole.tokens == 20));
    CHECK(sums.has_probabilities());
    std::array<double, experts> importance{}, probability{}, p{};
    for (const auto& a : whole.assignments) importance[static_cast<std::size_t>(a.expert)] += a.weight;
    for (hg::index t = 0; t < whole.tokens; ++t) {
      hg::probabilities(whole, t, p.data());
      for (std::size_t i = 0; i < experts; ++i) probability[i] += p[i];
    }
    for (std::size_t i = 0; i < experts; ++i) {
      CHECK(sums.importance()[i] == Approx(importance[i]).epsilon(1e-14));
      CHECK(sums.probability()[i] == Approx(probability[i]).epsilon(1e-14));
    }
    const double* const memory = sums.importance().data();
    sums.reset();
    CHECK((sums.parts() == 0 && sums.tokens() == 0 && sums.importance()[0] == 0));
    sums.collect(parts[0]);
    CHECK(sums.importance().data() == memory);
  }
}

TEST_CASE("the mean of a loss with batch_sums over micro-batches is the loss of all their tokens",
          "[losses][batch_sums]") {
  for (const auto kind : kinds) {
    check_mean(hg::importance_balance<double>{.weight = 0.3}, kind);
    check_mean(hg::importance_balance<double>{.weight = 0.3, .variance = hg::variance_of::sample}, kind);
    check_mean(hg::mutual_information_balance<double>{.weight = 0.3}, kind);
    check_mean(hg::load_concentration<double>{.weight = 0.3}, kind);
  }
}

TEST_CASE("the sums of one micro-batch leave its losses as they are, bit for bit", "[losses][batch_sums]") {
  check_alone(hg::importance_balance<double>{.weight = 0.3});
  check_alone(hg::mutual_information_balance<double>{.weight = 0.3});
  check_alone(hg::load_concentration<double>{.weight = 0.3});
}

TEST_CASE("batch_sums of ranks are those of as many accumulation steps, bit for bit", "[losses][batch_sums]") {
  const auto parts = parts_of(score_kind::logits);
  hg::batch_sums<double> steps;
  for (int turn = 0; turn < 2; ++turn)
    for (const auto& part : parts) steps.collect(part);
  std::array<hg::batch_sums<double>, 4> ranks;
  hg::run_thread_ranks(4, [&](hg::thread_rank& rank) {
    auto& own = ranks[static_cast<std::size_t>(rank.rank())];
    own.collect(rank, parts[static_cast<std::size_t>(rank.rank())]);
  });
  hg::batch_sums<double> once;
  for (const auto& part : parts) once.collect(part);
  for (const auto& own : ranks) {
    CHECK((own.parts() == 4 && own.tokens() == once.tokens()));
    for (std::size_t i = 0; i < experts; ++i) {
      CHECK(own.importance()[i] == once.importance()[i]);
      CHECK(own.probability()[i] == once.probability()[i]);
    }
  }
  CHECK((steps.parts() == 8 && steps.tokens() == 2 * once.tokens()));
}

TEST_CASE("a rank whose record cannot be collected makes all refuse, and the group goes on", "[losses][batch_sums]") {
  const auto parts = parts_of(score_kind::logits);
  std::array<std::string, 3> said;
  std::array<hg::index, 3> collected{};
  hg::run_thread_ranks(3, [&](hg::thread_rank& rank) {
    const auto me = static_cast<std::size_t>(rank.rank());
    hg::batch_sums<double> sums;
    const bool wrong[2] = {true, true};
    try {
      sums.collect(rank, parts[me], me == 1 ? std::span<const bool>(wrong) : std::span<const bool>());
    } catch (const std::invalid_argument& refusal) {
      said[me] = refusal.what();
    }
    CHECK(sums.parts() == 0);
    sums.collect(rank, parts[me]);
    collected[me] = sums.parts();
  });
  CHECK(said[0] == "batch_sums::collect: 1 of 3 ranks refused, nothing was collected");
  CHECK(said[1] == "batch_sums::collect: the mask has 2 entries, the batch has 3 tokens");
  CHECK(said[2] == said[0]);
  for (const hg::index parts_there : collected) CHECK(parts_there == 3);
}

TEST_CASE("losses refuse batch_sums of other experts or without probabilities, and are 0 without any",
          "[losses][batch_sums]") {
  const auto r = random_record(4, experts, 2, score_kind::logits, 5);
  hg::batch_sums<double> sums;
  routing_gradient<double> d;
  d.reset(r);
  const hg::importance_balance<double> importance{.sums = &sums};
  const hg::mutual_information_balance<double> information{.sums = &sums};
  CHECK((importance(r, d) == 0 && information(r, d) == 0));
  CHECK(is_zero(d));
  sums.collect(random_record(4, experts, 2, score_kind::none, 5));
  CHECK(importance(r, d) > 0);
  CHECK_THROWS_WITH(information(r, d), "mutual_information_balance: a record without probabilities is among the sums");
  CHECK_THROWS_WITH(sums.collect(random_record(4, 3, 2, score_kind::logits, 5)),
                    "batch_sums::collect: 3 experts, the sums so far are of 5");
  const auto narrow = random_record(4, 3, 2, score_kind::logits, 5);
  d.reset(narrow);
  CHECK_THROWS_WITH(importance(narrow, d), "importance_balance: the sums are of 5 experts, the record has 3");
  CHECK(is_zero(d));
}
