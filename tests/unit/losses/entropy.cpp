// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/entropy.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {
const auto with_mask = [](std::span<const bool> mask) {
  return hg::entropy_penalty<double>{.weight = 0.7, .mask = mask};
};
}

TEST_CASE("entropy_penalty has the golden value", "[losses][entropy]") {
  CHECK(value_of(hg::entropy_penalty<double>{}, record_of({{.35, .3, .2, .15}})) == Approx(1.3350852).epsilon(1e-7));
  CHECK(value_of(hg::entropy_penalty<double>{}, record_of({{.35, .3, .2, .15}, {0, 0, 1, 0}})) ==
        Approx(1.3350851650920204 / 2).epsilon(1e-14));
}

TEST_CASE("the entropy is log E if uniform and 0 if certain", "[losses][entropy]") {
  CHECK(value_of(hg::entropy_penalty<double>{}, record_of({{.25, .25, .25, .25}})) ==
        Approx(std::log(4)).epsilon(1e-14));
  CHECK(value_of(hg::entropy_penalty<double>{}, record_of({{0, 1, 0, 0}})) == 0);
}

TEST_CASE("entropy_bonus is entropy_penalty with the other sign", "[losses][entropy]") {
  const auto r = random_record(5, 4, 2, score_kind::logits, 81);
  routing_gradient<double> penalty, bonus;
  penalty.reset(r);
  bonus.reset(r);
  CHECK(hg::entropy_bonus<double>{.weight = 0.3}(r, bonus) == -hg::entropy_penalty<double>{.weight = 0.3}(r, penalty));
  for (hg::index i = 0; i < r.logits.size(); ++i) CHECK(bonus.logits.data()[i] == -penalty.logits.data()[i]);
}

TEST_CASE("the gradient of the entropy agrees with differences for every kind of score", "[losses][entropy]") {
  CHECK(check_gradient(hg::entropy_penalty<double>{.weight = 0.3},
                       random_record(9, 5, 3, score_kind::distribution, 82)) == "scores");
  CHECK(check_gradient(hg::entropy_penalty<double>{.weight = 0.3}, random_record(9, 5, 3, score_kind::positive, 83)) ==
        "scores");
  CHECK(check_gradient(hg::entropy_bonus<double>{.weight = 0.3}, random_record(9, 5, 3, score_kind::logits, 84)) ==
        "logits");
}

TEST_CASE("a step down the gradient of entropy_penalty lowers the entropy", "[losses][entropy]") {
  auto r = random_record(9, 5, 3, score_kind::logits, 85);
  routing_gradient<double> d;
  d.reset(r);
  const double before = hg::entropy_penalty<double>{}(r, d);
  for (hg::index i = 0; i < r.logits.size(); ++i) r.logits.data()[i] -= 0.1 * d.logits.data()[i];
  CHECK(value_of(hg::entropy_penalty<double>{}, r) < before);
}

TEST_CASE("probabilities of zero neither count nor make the gradient infinite", "[losses][entropy]") {
  auto far = random_record(1, 3, 1, score_kind::logits, 86);  // softmax underflows to (1, 0, 0)
  far.logits(0, 0) = 2000;
  auto dead = random_record(1, 3, 1, score_kind::positive, 87);
  for (hg::index i = 0; i < 3; ++i) dead.scores(0, i) = 0;
  for (const auto& r : {far, dead, record_of({{.5, .5, 0}})}) {
    routing_gradient<double> d;
    d.reset(r);
    CHECK(std::isfinite(hg::entropy_penalty<double>{}(r, d)));
    for (const auto& block : blocks_of(d))
      for (const double slope : block.values) CHECK(std::isfinite(slope));
  }
}

TEST_CASE("a masked token has no entropy", "[losses][entropy]") {
  check_mask(with_mask, random_record(9, 5, 3, score_kind::distribution, 88));
}

TEST_CASE("the entropy of no token is zero", "[losses][entropy]") {
  check_nothing_to_do(with_mask, random_record(4, 3, 2, score_kind::logits, 89));
}

TEST_CASE("the entropy losses refuse a record without scores by their own name", "[losses][entropy]") {
  const auto r = random_record(4, 3, 2, score_kind::none, 90);
  CHECK_THROWS_WITH(value_of(hg::entropy_penalty<double>{}, r),
                    contains("entropy_penalty: the gate records no scores"));
  CHECK_THROWS_WITH(value_of(hg::entropy_bonus<double>{}, r), contains("entropy_bonus: the gate records no scores"));
}

TEST_CASE("the entropy losses take their working memory once", "[losses][entropy]") {
  check_reuses_memory(hg::entropy_bonus<double>{}, random_record(9, 5, 3, score_kind::logits, 91));
}
