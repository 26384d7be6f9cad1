// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/communication_balance.hpp>
#include <headgate/losses/switch_balance.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

#include <set>
#include <utility>

namespace hg = headgate;
using namespace headgate_test;

namespace {

const std::vector<hg::index> halves = {0, 0, 1, 1}, uneven = {5, 2, 2, 5, 9};
const auto with_mask = [](std::span<const bool> mask) {
  return hg::communication_balance<double>{.weight = 0.7, .devices = uneven, .mask = mask};
};

/// Eq. 29-31 with what is sent in place of M T.
double plain_communication_balance(const routing<double>& r, const std::vector<hg::index>& devices,
                                   const std::vector<hg::index>& ids) {
  std::set<std::pair<hg::index, hg::index>> sent;
  for (const auto& a : r.assignments) sent.insert({devices[static_cast<std::size_t>(a.expert)], a.token});
  double loss = 0;
  for (const hg::index id : ids) {
    double received = 0, p = 0;
    for (const auto& [device, token] : sent) received += device == id ? 1 : 0;
    for (hg::index i = 0; i < r.experts; ++i)
      for (hg::index t = 0; t < r.tokens; ++t)
        p += devices[static_cast<std::size_t>(i)] == id ? r.scores(t, i) / static_cast<double>(r.tokens) : 0;
    loss += static_cast<double>(ids.size()) * received / static_cast<double>(sent.size()) * p;
  }
  return loss;
}

}  // namespace

TEST_CASE("communication_balance counts a token once for a device", "[losses][communication_balance]") {
  // Token 0 goes to device 0 alone, with two experts; token 1 to both: 2 (2/3 .6 + 1/3 .4).
  const auto r = record_of({{.4, .3, .2, .1}, {.4, .1, .3, .2}}, 2);
  CHECK(value_of(hg::communication_balance<double>{.devices = halves}, r) == Approx(3.2 / 3).epsilon(1e-14));
}

TEST_CASE("communication_balance is equations 29 to 31, whatever the devices' sizes, ids and order",
          "[losses][communication_balance]") {
  const auto r = random_record(9, 5, 3, score_kind::distribution, 231);
  CHECK(value_of(hg::communication_balance<double>{.devices = uneven}, r) ==
        Approx(plain_communication_balance(r, uneven, {5, 2, 9})).epsilon(1e-14));
}

TEST_CASE("communication_balance is one if every device gets as many tokens", "[losses][communication_balance]") {
  auto r = record_of({{.7, .1, .1, .1}, {.6, .2, .1, .1}});
  for (const hg::index e : {0, 1, 2}) r.assignments.push_back({0, e, 1.0});
  for (const hg::index e : {1, 2, 3}) r.assignments.push_back({1, e, 1.0});
  CHECK(value_of(hg::communication_balance<double>{.devices = halves}, r) == Approx(1).epsilon(1e-15));
}

TEST_CASE("with an expert a device, communication_balance is the loss between experts",
          "[losses][communication_balance]") {
  const auto r = random_record(9, 5, 3, score_kind::logits, 232);
  const std::vector<hg::index> each = {4, 0, 3, 1, 2};
  CHECK(value_of(hg::communication_balance<double>{.devices = each}, r) == value_of(hg::switch_balance<double>{}, r));
}

TEST_CASE("the gradient of communication_balance agrees with differences for every kind of score",
          "[losses][communication_balance]") {
  const hg::communication_balance<double> loss{.weight = 0.3, .devices = uneven};
  CHECK(check_gradient(loss, random_record(9, 5, 3, score_kind::distribution, 233)) == "scores");
  CHECK(check_gradient(loss, random_record(9, 5, 3, score_kind::positive, 234)) == "scores");
  CHECK(check_gradient(loss, random_record(9, 5, 3, score_kind::logits, 235)) == "logits");
}

TEST_CASE("a masked token is sent nowhere in communication_balance", "[losses][communication_balance]") {
  check_mask(with_mask, random_record(9, 5, 3, score_kind::distribution, 236));
  check_nothing_to_do(with_mask, random_record(4, 5, 2, score_kind::logits, 237));
}

TEST_CASE("communication_balance refuses ids for other experts, and none", "[losses][communication_balance]") {
  const auto r = random_record(4, 5, 2, score_kind::logits, 238);
  CHECK_THROWS_WITH(value_of(hg::communication_balance<double>{}, r), contains("there are 0 device ids"));
  CHECK_THROWS_WITH(value_of(hg::communication_balance<double>{.devices = halves}, r),
                    "communication_balance: there are 4 device ids, the record has 5 experts");
}

TEST_CASE("communication_balance takes its working memory once", "[losses][communication_balance]") {
  check_reuses_memory(hg::communication_balance<double>{.devices = uneven},
                      random_record(9, 5, 3, score_kind::logits, 239));
}
