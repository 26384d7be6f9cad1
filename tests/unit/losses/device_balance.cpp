// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/device_balance.hpp>
#include <headgate/losses/global_balance.hpp>
#include <headgate/losses/switch_balance.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

const std::vector<hg::index> halves = {0, 0, 1, 1}, uneven = {5, 2, 2, 5, 9};
const auto with_mask = [](std::span<const bool> mask) {
  return hg::device_balance<double>{.weight = 0.7, .devices = uneven, .mask = mask};
};

/// Eq. 15-17 as they stand.
double plain_device_balance(const routing<double>& r, const std::vector<hg::index>& devices,
                            const std::vector<hg::index>& ids) {
  double loss = 0;
  for (const hg::index id : ids) {
    double f = 0, p = 0, members = 0;
    for (hg::index i = 0; i < r.experts; ++i) {
      if (devices[static_cast<std::size_t>(i)] != id) continue;
      members += 1;
      f +=
          static_cast<double>(r.experts) * static_cast<double>(r.load()[i]) / static_cast<double>(r.assignments.size());
      for (hg::index t = 0; t < r.tokens; ++t) p += r.scores(t, i) / static_cast<double>(r.tokens);
    }
    loss += f / members * p;
  }
  return loss;
}

}  // namespace

TEST_CASE("device_balance has the golden value", "[losses][device_balance]") {
  const auto r = record_of({{.4, .3, .2, .1}, {.4, .1, .3, .2}}, 2);
  CHECK(value_of(hg::device_balance<double>{.devices = halves}, r) == Approx(1.1).epsilon(1e-14));
}

TEST_CASE("device_balance is equations 15 to 17, whatever the devices' sizes, ids and order",
          "[losses][device_balance]") {
  const auto r = random_record(9, 5, 3, score_kind::distribution, 211);
  CHECK(value_of(hg::device_balance<double>{.devices = uneven}, r) ==
        Approx(plain_device_balance(r, uneven, {5, 2, 9})).epsilon(1e-14));
}

TEST_CASE("device_balance of one device is one without a gradient", "[losses][device_balance]") {
  const auto r = random_record(9, 5, 3, score_kind::logits, 212);
  const std::vector<hg::index> one(5, 3);
  routing_gradient<double> d;
  d.reset(r);
  CHECK(hg::device_balance<double>{.devices = one}(r, d) == Approx(1).epsilon(1e-15));
  for (hg::index i = 0; i < d.logits.size(); ++i) CHECK(std::abs(d.logits.data()[i]) < 1e-16);
}

TEST_CASE("device_balance with an expert a device is the loss between experts, bit for bit",
          "[losses][device_balance]") {
  const auto r = random_record(9, 5, 3, score_kind::positive, 213);
  const std::vector<hg::index> each = {4, 0, 3, 1, 2};
  hg::expert_counts counts;
  counts.collect(r);
  counts.collect(random_record(9, 5, 3, score_kind::positive, 214));
  routing_gradient<double> d, expected, pooled, expected_pooled;
  for (auto* one : {&d, &expected, &pooled, &expected_pooled}) one->reset(r);
  CHECK(hg::device_balance<double>{.devices = each}(r, d) == hg::switch_balance<double>{}(r, expected));
  CHECK(hg::device_balance<double>{.devices = each, .counts = &counts}(r, pooled) ==
        hg::global_balance<double>{.counts = &counts}(r, expected_pooled));
  for (hg::index i = 0; i < r.scores.size(); ++i) {
    CHECK(d.scores.data()[i] == expected.scores.data()[i]);
    CHECK(pooled.scores.data()[i] == expected_pooled.scores.data()[i]);
  }
}

TEST_CASE("device_balance is one for uniform probabilities or loads", "[losses][device_balance]") {
  auto uniform_load = record_of({{.7, .1, .1, .1}, {.6, .2, .1, .1}, {.9, .05, .03, .02}, {.4, .3, .2, .1}});
  for (hg::index t = 0; t < 4; ++t) uniform_load.assignments.push_back({t, t, 1.0});
  CHECK(value_of(hg::device_balance<double>{.devices = halves}, uniform_load) == Approx(1).epsilon(1e-14));
  auto uniform_probability = record_of({{.25, .25, .25, .25}});
  uniform_probability.assignments.push_back({0, 2, 1.0});
  CHECK(value_of(hg::device_balance<double>{.devices = halves}, uniform_probability) == Approx(1).epsilon(1e-14));
}

TEST_CASE("the gradient of device_balance agrees with differences for every kind of score",
          "[losses][device_balance]") {
  const hg::device_balance<double> loss{.weight = 0.3, .devices = uneven};
  CHECK(check_gradient(loss, random_record(9, 5, 3, score_kind::distribution, 215)) == "scores");
  CHECK(check_gradient(loss, random_record(9, 5, 3, score_kind::positive, 216)) == "scores");
  CHECK(check_gradient(loss, random_record(9, 5, 3, score_kind::logits, 217)) == "logits");
}

TEST_CASE("a masked token is absent from device_balance", "[losses][device_balance]") {
  check_mask(with_mask, random_record(9, 5, 3, score_kind::distribution, 218));
  check_nothing_to_do(with_mask, random_record(4, 5, 2, score_kind::logits, 219));
}

TEST_CASE("device_balance refuses ids for other experts, and none", "[losses][device_balance]") {
  const auto r = random_record(4, 5, 2, score_kind::logits, 220);
  CHECK_THROWS_WITH(value_of(hg::device_balance<double>{}, r), contains("device_balance: devices is empty"));
  CHECK_THROWS_WITH(value_of(hg::device_balance<double>{.devices = halves}, r),
                    "device_balance: there are 4 device ids, the record has 5 experts");
  const hg::expert_counts counts(4);
  CHECK(value_of(hg::device_balance<double>{.devices = uneven, .counts = &counts}, r) == 0);  // nothing counted yet
}

TEST_CASE("device_balance takes its working memory once", "[losses][device_balance]") {
  check_reuses_memory(hg::device_balance<double>{.devices = uneven}, random_record(9, 5, 3, score_kind::logits, 221));
}
