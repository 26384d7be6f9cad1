// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/mutual_information.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

const auto with_mask = [](std::span<const bool> mask) {
  return hg::mutual_information_balance<double>{.weight = 0.7, .mask = mask};
};
const auto concentration_with_mask = [](std::span<const bool> mask) {
  return hg::load_concentration<double>{.weight = 0.7, .mask = mask};
};

}  // namespace

TEST_CASE("mutual_information_balance has the golden value", "[losses][mutual_information]") {
  const auto r = record_of({{.7, .2, .1}, {.1, .8, .1}, {.2, .2, .6}});
  CHECK(value_of(hg::mutual_information_balance<double>{}, r) == Approx(-0.2881483).epsilon(2e-7));
}

TEST_CASE("mutual_information_balance lies between -log E and 0", "[losses][mutual_information]") {
  CHECK(value_of(hg::mutual_information_balance<double>{}, record_of({{.7, .2, .1}, {.7, .2, .1}, {.7, .2, .1}})) ==
        Approx(0).margin(1e-15));
  CHECK(value_of(hg::mutual_information_balance<double>{}, record_of({{0, 1, 0}, {1, 0, 0}, {0, 0, 1}})) ==
        Approx(-std::log(3)).epsilon(1e-15));
  for (const std::uint64_t seed : {240u, 241u, 242u}) {
    const double value =
        value_of(hg::mutual_information_balance<double>{}, random_record(9, 5, 3, score_kind::logits, seed));
    CHECK((value < 0 && value > -std::log(5)));
  }
}

TEST_CASE("load_concentration is the entropy of the experts' shares", "[losses][mutual_information]") {
  CHECK(value_of(hg::load_concentration<double>{}, record_of({{0, 1, 0, 0}, {1, 0, 0, 0}})) ==
        Approx(std::log(2)).epsilon(1e-15));  // two experts carry it all
  CHECK(value_of(hg::load_concentration<double>{}, record_of({{0, 1, 0}, {0, 1, 0}})) == 0);
  CHECK(value_of(hg::load_concentration<double>{}, record_of({{.5, .3, .2, 0}, {.2, .3, .2, .3}})) ==
        Approx(-(.35 * std::log(.35) + .3 * std::log(.3) + .2 * std::log(.2) + .15 * std::log(.15))).epsilon(1e-14));
}

TEST_CASE("the mutual information is the entropy of the shares minus that of the tokens",
          "[losses][mutual_information]") {
  const auto r = random_record(9, 5, 3, score_kind::positive, 243);
  CHECK(value_of(hg::mutual_information_balance<double>{}, r) ==
        Approx(value_of(hg::entropy_penalty<double>{}, r) - value_of(hg::load_concentration<double>{}, r))
            .epsilon(1e-13));
}

TEST_CASE("the gradient of the mutual information is log(P / p) / T in the probabilities",
          "[losses][mutual_information]") {
  const auto r = record_of({{.7, .2, .1}, {.1, .8, .1}, {.2, .2, .6}});
  const double mean[3] = {1.0 / 3, .4, .8 / 3};
  routing_gradient<double> d;
  d.reset(r);
  hg::mutual_information_balance<double>{}(r, d);
  for (hg::index t = 0; t < 3; ++t)
    for (hg::index i = 0; i < 3; ++i)
      CHECK(d.scores(t, i) == Approx(std::log(mean[i] / r.scores(t, i)) / 3).epsilon(1e-13));
}

TEST_CASE("the gradients of both losses agree with differences for every kind of score",
          "[losses][mutual_information]") {
  for (const auto kind : {score_kind::distribution, score_kind::positive, score_kind::logits}) {
    const std::string expected = kind == score_kind::logits ? "logits" : "scores";
    const auto r = random_record(9, 5, 3, kind, 244);
    CHECK(check_gradient(hg::mutual_information_balance<double>{.weight = 0.3}, r) == expected);
    CHECK(check_gradient(hg::load_concentration<double>{.weight = 0.3}, r) == expected);
  }
}

TEST_CASE("experts of probability zero leave both losses and their gradients finite", "[losses][mutual_information]") {
  auto far = random_record(2, 3, 1, score_kind::logits, 245);  // softmax underflows to (1, 0, 0)
  far.logits(0, 0) = 2000;
  auto dead = random_record(2, 3, 1, score_kind::positive, 246);
  for (hg::index i = 0; i < 6; ++i) dead.scores.data()[i] = 0;
  for (const auto& r : {far, dead, record_of({{.5, .5, 0}, {1, 0, 0}})}) {
    routing_gradient<double> d;
    d.reset(r);
    CHECK(std::isfinite(hg::mutual_information_balance<double>{}(r, d)));
    CHECK(std::isfinite(hg::load_concentration<double>{}(r, d)));
    for (const auto& block : blocks_of(d))
      for (const double slope : block.values) CHECK(std::isfinite(slope));
  }
}

TEST_CASE("a masked token has no share in both losses", "[losses][mutual_information]") {
  const auto r = random_record(9, 5, 3, score_kind::distribution, 247);
  check_mask(with_mask, r);
  check_mask(concentration_with_mask, r);
  check_nothing_to_do(with_mask, random_record(4, 3, 2, score_kind::logits, 248));
  check_nothing_to_do(concentration_with_mask, random_record(4, 3, 2, score_kind::positive, 249));
}

TEST_CASE("both losses refuse a record without scores by their own name", "[losses][mutual_information]") {
  const auto r = random_record(4, 3, 2, score_kind::none, 250);
  CHECK_THROWS_WITH(value_of(hg::mutual_information_balance<double>{}, r),
                    contains("mutual_information_balance: the gate records no scores"));
  CHECK_THROWS_WITH(value_of(hg::load_concentration<double>{}, r),
                    contains("load_concentration: the gate records no scores"));
}

TEST_CASE("both losses take their working memory once", "[losses][mutual_information]") {
  check_reuses_memory(hg::mutual_information_balance<double>{}, random_record(9, 5, 3, score_kind::logits, 251));
}
