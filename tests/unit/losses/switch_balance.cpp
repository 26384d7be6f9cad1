// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/switch_balance.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {
const auto with_mask = [](std::span<const bool> mask) {
  return hg::switch_balance<double>{.weight = 0.7, .mask = mask};
};
}

TEST_CASE("switch_balance has the golden values", "[losses][switch_balance]") {
  const auto two_of_four = record_of({{.4, .3, .2, .1}, {.4, .1, .3, .2}}, 2);
  CHECK(value_of(hg::switch_balance<double>{}, two_of_four) == Approx(1.25).epsilon(1e-14));
  // The same loss without the factor that makes uniform routing 1: k / E^2.
  CHECK(2.0 / 16 * value_of(hg::switch_balance<double>{}, two_of_four) == Approx(0.15625).epsilon(1e-14));
}

TEST_CASE("switch_balance may be below one", "[losses][switch_balance]") {
  const auto r = record_of({{.51, .49}, {.51, .49}, {.01, .99}}, 1);
  CHECK(value_of(hg::switch_balance<double>{}, r) == Approx(0.8955555555555554).epsilon(1e-14));
}

TEST_CASE("switch_balance is one if the frequencies or the probabilities are uniform", "[losses][switch_balance]") {
  auto uniform_choice = record_of({{.7, .1, .1, .1}, {.6, .2, .1, .1}, {.9, .05, .03, .02}, {.4, .3, .2, .1}});
  for (hg::index t = 0; t < 4; ++t) uniform_choice.assignments.push_back({t, t, 1.0});
  CHECK(value_of(hg::switch_balance<double>{.weight = 1e-2}, uniform_choice) == Approx(1).epsilon(1e-14));

  auto uniform_probability = record_of({{.25, .25, .25, .25}, {.25, .25, .25, .25}});
  uniform_probability.assignments.push_back({0, 2, 1.0});
  uniform_probability.assignments.push_back({1, 2, 1.0});
  CHECK(value_of(hg::switch_balance<double>{.weight = 1e-2}, uniform_probability) == Approx(1).epsilon(1e-14));
}

TEST_CASE("switch_balance is E if all goes to one expert", "[losses][switch_balance]") {
  CHECK(value_of(hg::switch_balance<double>{}, record_of({{0, 1, 0}, {0, 1, 0}}, 1)) == Approx(3).epsilon(1e-14));
}

TEST_CASE("switch_balance is normalised by the assignments there are", "[losses][switch_balance]") {
  auto r = record_of({{.5, .3, .2}, {.1, .6, .3}});
  r.assignments.push_back({0, 0, 1.0});  // token 0 has three experts, token 1 none
  r.assignments.push_back({0, 1, 1.0});
  r.assignments.push_back({0, 2, 1.0});
  CHECK(value_of(hg::switch_balance<double>{}, r) == Approx(1).epsilon(1e-14));
}

TEST_CASE("the gradient of switch_balance agrees with differences for every kind of score",
          "[losses][switch_balance]") {
  const hg::switch_balance<double> loss{.weight = 0.3};
  CHECK(check_gradient(loss, random_record(9, 5, 3, score_kind::distribution, 11)) == "scores");
  CHECK(check_gradient(loss, random_record(9, 5, 3, score_kind::positive, 12)) == "scores");
  CHECK(check_gradient(loss, random_record(9, 5, 3, score_kind::logits, 13)) == "logits");
}

TEST_CASE("the gradient of switch_balance in the logits is E/T p (f - <f, p>)", "[losses][switch_balance]") {
  const auto r = random_record(6, 4, -2, score_kind::logits, 14);
  routing_gradient<double> d;
  d.reset(r);
  hg::switch_balance<double>{}(r, d);
  const auto load = r.load();
  for (hg::index t = 0; t < 6; ++t) {
    double p[4], mean = 0;
    plain_softmax(r.logits.row(t), p, 4);
    for (hg::index i = 0; i < 4; ++i) mean += static_cast<double>(load[i]) / 12 * p[i];
    for (hg::index i = 0; i < 4; ++i)
      CHECK(d.logits(t, i) == Approx(4.0 / 6 * p[i] * (static_cast<double>(load[i]) / 12 - mean)).margin(1e-14));
  }
}

TEST_CASE("a masked token neither chooses nor has a probability in switch_balance", "[losses][switch_balance]") {
  check_mask(with_mask, random_record(9, 5, 3, score_kind::distribution, 15));
  check_mask(with_mask, random_record(9, 5, 3, score_kind::logits, 16));
}

TEST_CASE("switch_balance is zero where there is nothing to balance", "[losses][switch_balance]") {
  check_nothing_to_do(with_mask, random_record(4, 3, 2, score_kind::positive, 17));
  auto no_choice = random_record(4, 3, 2, score_kind::logits, 18);
  no_choice.assignments.clear();
  CHECK(value_of(hg::switch_balance<double>{}, no_choice) == 0);
}

TEST_CASE("switch_balance refuses a record without scores", "[losses][switch_balance]") {
  const auto r = random_record(4, 3, 2, score_kind::none, 19);
  CHECK_THROWS_WITH(value_of(hg::switch_balance<double>{}, r), contains("switch_balance: the gate records no scores"));
}

TEST_CASE("switch_balance takes its working memory once", "[losses][switch_balance]") {
  check_reuses_memory(hg::switch_balance<double>{}, random_record(9, 5, 3, score_kind::logits, 20));
}

TEST_CASE("switch_balance in float agrees with double", "[losses][switch_balance]") {
  const auto wide = random_record(200, 8, -2, score_kind::distribution, 21);
  routing<float> narrow;
  narrow.reset(wide.tokens, wide.experts);
  narrow.scores_are = wide.scores_are;
  narrow.scores.resize(wide.tokens, wide.experts);
  for (hg::index i = 0; i < wide.scores.size(); ++i)
    narrow.scores.data()[i] = static_cast<float>(wide.scores.data()[i]);
  for (const auto& a : wide.assignments)
    narrow.assignments.push_back({a.token, a.expert, static_cast<float>(a.weight)});
  routing_gradient<float> d;
  d.reset(narrow);
  const float value = hg::switch_balance<float>{.weight = 1e-2f}(narrow, d);
  CHECK(static_cast<double>(value) == Approx(value_of(hg::switch_balance<double>{.weight = 1e-2}, wide)).epsilon(1e-6));
}
