// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/router_z.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

#include <limits>

namespace hg = headgate;
using namespace headgate_test;

namespace {

const auto with_mask = [](std::span<const bool> mask) { return hg::router_z<double>{.weight = 0.7, .mask = mask}; };

routing<double> with_logits(const std::vector<std::vector<double>>& z) {
  auto r = record_of(z);
  r.scores_are = score_kind::none;
  r.logits = r.scores;
  r.scores.resize(0, 0);
  return r;
}

}  // namespace

TEST_CASE("router_z has the golden values", "[losses][router_z]") {
  CHECK(value_of(hg::router_z<double>{}, with_logits({{0, 0}})) == Approx(0.4804530139182014).epsilon(1e-13));
  CHECK(value_of(hg::router_z<double>{}, with_logits({{1, 2, 3}})) == Approx(11.611778408916917).epsilon(1e-13));
  CHECK(value_of(hg::router_z<double>{}, with_logits({{1, 2, 3}, {0, 0, 0}})) ==
        Approx(6.40936368486475).epsilon(1e-13));
}

TEST_CASE("router_z is zero where the exponentials sum to one", "[losses][router_z]") {
  const double third = std::log(1.0 / 3);
  CHECK(value_of(hg::router_z<double>{}, with_logits({{third, third, third}})) == Approx(0).margin(1e-30));
}

TEST_CASE("large logits do not overflow router_z", "[losses][router_z]") {
  CHECK(value_of(hg::router_z<double>{}, with_logits({{1000, -1000}, {-1000, -1000}})) ==
        Approx((1e6 + std::pow(std::log(2.0) - 1000, 2)) / 2).epsilon(1e-13));
}

TEST_CASE("experts that are switched off leave router_z and its gradient finite", "[losses][router_z]") {
  const double off = -std::numeric_limits<double>::infinity();
  const auto r = with_logits({{1, off}, {off, off}});
  routing_gradient<double> d;
  d.reset(r);
  CHECK(hg::router_z<double>{}(r, d) == 0.5);
  CHECK(d.logits(0, 0) == 1);
  for (const hg::index i : {1, 2, 3}) CHECK(d.logits.data()[i] == 0);
}

TEST_CASE("the gradient of router_z agrees with differences", "[losses][router_z]") {
  CHECK(check_gradient(hg::router_z<double>{.weight = 0.3}, random_record(9, 5, 3, score_kind::positive, 71)) ==
        "logits");
}

TEST_CASE("a masked token does not count in router_z", "[losses][router_z]") {
  check_mask(with_mask, random_record(9, 5, 3, score_kind::logits, 72));
}

TEST_CASE("router_z of no token is zero", "[losses][router_z]") {
  check_nothing_to_do(with_mask, random_record(4, 3, 2, score_kind::logits, 73));
}

TEST_CASE("router_z refuses a record without logits and the gradient of another record", "[losses][router_z]") {
  CHECK_THROWS_WITH(value_of(hg::router_z<double>{}, record_of({{.5, .5}})),
                    "router_z: the gate records no router logits");
  routing_gradient<double> d;
  CHECK_THROWS_WITH(hg::router_z<double>{}(with_logits({{1, 2, 3}}), d),
                    "router_z: the gradient of the router logits is 0 x 0, the record's are 1 x 3");
}

TEST_CASE("router_z takes its working memory once", "[losses][router_z]") {
  check_reuses_memory(hg::router_z<double>{}, random_record(9, 5, 3, score_kind::logits, 74));
}
