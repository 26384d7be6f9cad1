// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/importance.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"
#include "unit/losses/widened.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

const auto with_mask = [](std::span<const bool> mask) {
  return hg::importance_balance<double>{.weight = 0.7, .mask = mask};
};

routing<double> record_with(hg::index tokens, hg::index experts,
                            const std::vector<hg::assignment<double>>& assignments) {
  routing<double> r;
  r.reset(tokens, experts);
  for (const auto& a : assignments) r.assignments.push_back(a);
  return r;
}

}  // namespace

TEST_CASE("importance_balance has the golden value", "[losses][importance]") {
  const auto r = record_with(3, 4, {{0, 0, .7}, {0, 2, .3}, {1, 1, .9}, {1, 2, .1}, {2, 3, .7}, {2, 1, .3}});
  CHECK(value_of(hg::importance_balance<double>{}, r) == Approx(0.14666666666666664).epsilon(1e-14));
  CHECK(value_of(hg::importance_balance<double>{.variance = hg::variance_of::sample}, r) ==
        Approx(0.19555555555555554).epsilon(1e-14));
}

TEST_CASE("importance_balance is zero if all tokens are uniform", "[losses][importance]") {
  const auto r = record_with(2, 3, {{0, 0, .25}, {0, 1, .25}, {0, 2, .25}, {1, 2, .5}, {1, 0, .5}, {1, 1, .5}});
  routing_gradient<double> d;
  d.reset(r);
  CHECK(hg::importance_balance<double>{}(r, d) == 0);
  CHECK(is_zero(d));
}

TEST_CASE("importance_balance is E - 1 if one expert has it all", "[losses][importance]") {
  const auto r = record_with(3, 5, {{0, 3, .2}, {1, 3, .9}, {2, 3, .4}});
  CHECK(value_of(hg::importance_balance<double>{}, r) == Approx(4).epsilon(1e-14));
  CHECK(value_of(hg::importance_balance<double>{.variance = hg::variance_of::sample}, r) == Approx(5).epsilon(1e-14));
}

TEST_CASE("the gradient of importance_balance goes to the weights and agrees with differences",
          "[losses][importance]") {
  for (const auto variance : {hg::variance_of::population, hg::variance_of::sample})
    CHECK(check_gradient(hg::importance_balance<double>{.weight = 0.3, .variance = variance},
                         random_record(9, 5, 3, score_kind::logits, 41)) == "weights");
}

TEST_CASE("a masked token has no importance", "[losses][importance]") {
  check_mask(with_mask, random_record(9, 5, 3, score_kind::none, 42));
}

TEST_CASE("importance_balance is zero where there is no importance", "[losses][importance]") {
  check_nothing_to_do(with_mask, random_record(4, 3, 2, score_kind::none, 43));
  const auto opposite = record_with(2, 2, {{0, 0, .5}, {1, 1, -.5}});  // weights with a mean of zero
  routing_gradient<double> d;
  d.reset(opposite);
  CHECK(hg::importance_balance<double>{}(opposite, d) == 0);
  CHECK(is_zero(d));
}

TEST_CASE("importance_balance refuses the gradient of another record", "[losses][importance]") {
  const auto r = random_record(4, 3, 2, score_kind::none, 44);
  routing_gradient<double> d;
  CHECK_THROWS_WITH(hg::importance_balance<double>{}(r, d), contains("the gradient is of 0 weights, the record has 6"));
}

TEST_CASE("importance_balance takes its working memory once", "[losses][importance]") {
  check_reuses_memory(hg::importance_balance<double>{}, random_record(9, 5, 3, score_kind::none, 45));
}

TEST_CASE("importance_balance of float loses no digits over many tokens", "[losses][importance]") {
  // Summed in float, the value of these tokens is 2 % off, and the gradient 1 %.
  routing<float> r;
  r.reset(1000000, 4);
  for (hg::index t = 0; t < r.tokens; ++t)
    r.assignments.push_back({t, t % 5 % 4, 0.3F + 1e-7F * static_cast<float>(t % 7919)});
  const auto wide = widened(r);
  routing_gradient<float> d;
  routing_gradient<double> expected;
  d.reset(r);
  expected.reset(wide);
  CHECK(static_cast<double>(hg::importance_balance<float>{}(r, d)) ==
        Approx(hg::importance_balance<double>{}(wide, expected)).epsilon(1e-6));
  for (hg::index a = 0; a < 4; ++a)
    CHECK(static_cast<double>(d.weights(a, 0)) == Approx(expected.weights(a, 0)).epsilon(1e-6));
}
