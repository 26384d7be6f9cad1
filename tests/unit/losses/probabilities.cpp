// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/probabilities.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

/// sum_t <c_t, p_t> with arbitrary c: its gradient in p is c.
struct linear_in_probabilities {
  double operator()(const routing<double>& r, routing_gradient<double>& d) const {
    hg::check_probabilities("linear_in_probabilities", r, d);
    const auto rows = d.row.resize(2, r.experts);
    double value = 0;
    for (hg::index t = 0; t < r.tokens; ++t) {
      hg::probabilities(r, t, rows.row(0));
      for (hg::index i = 0; i < r.experts; ++i) {
        rows(1, i) = std::sin(static_cast<double>(3 * t + 7 * i * i));
        value += rows(1, i) * rows(0, i);
      }
      hg::pull_back_probabilities(r, t, rows.row(0), rows.row(1), d);
    }
    return value;
  }
};

}  // namespace

TEST_CASE("scores of each kind become probabilities in their own way", "[losses][probabilities]") {
  double p[5];
  auto r = random_record(3, 5, 2, score_kind::distribution, 1);
  hg::probabilities(r, 1, p);
  for (hg::index i = 0; i < 5; ++i) CHECK(p[i] == r.scores(1, i));

  r = random_record(3, 5, 2, score_kind::logits, 1);
  double expected[5];
  plain_softmax(r.logits.row(1), expected, 5);
  hg::probabilities(r, 1, p);
  for (hg::index i = 0; i < 5; ++i) CHECK(p[i] == Approx(expected[i]).epsilon(1e-13));

  r = random_record(3, 5, 2, score_kind::positive, 1);
  double sum = 0;
  for (hg::index i = 0; i < 5; ++i) sum += r.scores(1, i);
  hg::probabilities(r, 1, p);
  for (hg::index i = 0; i < 5; ++i) CHECK(p[i] == Approx(r.scores(1, i) / sum).epsilon(1e-13));
}

TEST_CASE("a softmax is not taken of scores that are a softmax already", "[losses][probabilities]") {
  const auto of_scores = random_record(2, 4, 1, score_kind::distribution, 5);
  auto of_logits = of_scores;
  of_logits.scores_are = score_kind::logits;
  double p[4], q[4];
  for (hg::index t = 0; t < 2; ++t) {
    hg::probabilities(of_scores, t, p);
    hg::probabilities(of_logits, t, q);
    for (hg::index i = 0; i < 4; ++i) CHECK(p[i] == Approx(q[i]).epsilon(1e-13));
  }
}

TEST_CASE("the pull-back of the probabilities is their derivative", "[losses][probabilities]") {
  CHECK(check_gradient(linear_in_probabilities{}, random_record(4, 7, 2, score_kind::distribution, 2)) == "scores");
  CHECK(check_gradient(linear_in_probabilities{}, random_record(4, 7, 2, score_kind::logits, 2)) == "logits");
  CHECK(check_gradient(linear_in_probabilities{}, random_record(4, 7, 2, score_kind::positive, 2)) == "scores");
}

TEST_CASE("a row of positive scores that is all zero has no probabilities and no gradient", "[losses][probabilities]") {
  auto r = random_record(2, 4, 1, score_kind::positive, 3);
  for (const double tiny : {0.0, 1e-310}) {
    for (hg::index i = 0; i < 4; ++i) r.scores(0, i) = tiny;
    routing_gradient<double> d;
    d.reset(r);
    double p[4] = {9, 9, 9, 9};
    const double dp[4] = {1, 2, 3, 4};
    hg::probabilities(r, 0, p);
    for (const double one : p) CHECK(one == 0);
    hg::pull_back_probabilities(r, 0, p, dp, d);
    CHECK(is_zero(d));
  }
}

TEST_CASE("a record without scores has no probabilities", "[losses][probabilities]") {
  auto r = random_record(2, 4, 1, score_kind::none, 3);
  routing_gradient<double> d;
  d.reset(r);
  CHECK_THROWS_WITH(linear_in_probabilities{}(r, d),
                    contains("the gate records no scores that could be read as probab"));
  r.scores_are = score_kind::logits;
  r.logits.resize(0, 0);
  CHECK_THROWS_WITH(linear_in_probabilities{}(r, d), contains("the gate records no router logits"));
  r.scores_are = score_kind::positive;
  r.scores.resize(0, 0);
  CHECK_THROWS_WITH(linear_in_probabilities{}(r, d), contains("the gate records no scores"));
}
