// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/routing/routing.hpp>

#include "support/catch.hpp"

namespace hg = headgate;

TEST_CASE("load counts the assignments of each expert, those of idle experts as zero", "[routing][routing]") {
  hg::routing<float> r;
  r.reset(3, 4);
  for (const auto& a : {hg::assignment<float>{0, 3, 1.f}, {1, 1, 1.f}, {2, 3, 0.f}}) r.assignments.push_back(a);
  const auto load = r.load();
  REQUIRE(load.size() == 4);
  CHECK((load[0] == 0 && load[1] == 1 && load[2] == 0 && load[3] == 2));
}

TEST_CASE("reset empties a record of everything the last batch left", "[routing][routing]") {
  hg::routing<double> r;
  r.reset(3, 4);
  r.assignments.push_back({0, 1, 0.5});
  r.chosen.push_back({0, 1, 0.5});
  r.scores_are = hg::score_kind::positive;
  r.best_first = true;
  for (auto* rows : {&r.logits, &r.scores, &r.clean_logits, &r.noise_scale}) rows->resize(3, 4);
  r.reset(2, 5);
  CHECK((r.tokens == 2 && r.experts == 5));
  CHECK(r.assignments.empty());
  CHECK(r.chosen.empty());
  CHECK(r.scores_are == hg::score_kind::none);
  CHECK_FALSE(r.best_first);
  for (auto* rows : {&r.logits, &r.scores, &r.clean_logits, &r.noise_scale}) CHECK(rows->size() == 0);
  CHECK(r.load().size() == 5);
}

TEST_CASE("a record keeps a copy of the mask of its pass until the next one", "[routing][routing]") {
  bool mask[3] = {true, false, true};
  hg::routing<double> r;
  r.reset(3, 4);
  CHECK(r.counting() == 3);
  r.keep_mask(mask);
  mask[0] = false;
  CHECK(r.counting() == 2);
  CHECK((r.mask.data()[0] && !r.mask.data()[1] && r.mask.data()[2]));
  r.keep_mask({});
  CHECK(r.counting() == 3);
  r.keep_mask(mask);
  r.reset(3, 4);
  CHECK(r.mask.size() == 0);
  CHECK(r.counting() == 3);
  CHECK_THROWS_WITH(r.keep_mask({mask, 2}), "routing::keep_mask: the mask has 2 entries, the record has 3 tokens");
}

TEST_CASE("a gradient has the record's shape and starts at zero", "[routing][routing]") {
  hg::routing<double> r;
  r.reset(2, 3);
  r.assignments.push_back({0, 1, 0.5});
  r.logits.zero(2, 3);
  r.scores.zero(2, 3);
  hg::routing_gradient<double> d;
  d.reset(r);
  d.weights(0, 0) = d.logits(1, 2) = d.scores(0, 0) = 1;
  d.reset(r);
  CHECK((d.weights.rows() == 1 && d.weights(0, 0) == 0));
  CHECK((d.logits.rows() == 2 && d.logits.cols() == 3 && d.logits(1, 2) == 0 && d.scores(0, 0) == 0));
  CHECK((d.clean_logits.size() == 0 && d.noise_scale.size() == 0));
}
