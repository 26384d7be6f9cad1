// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/loss_values.hpp>
#include <headgate/losses/router_z.hpp>
#include <headgate/losses/switch_balance.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {
const auto half_of_the_assignments = [](const routing<double>& r, routing_gradient<double>&) {
  return static_cast<double>(r.assignments.size()) / 2;
};
}

TEST_CASE("loss_values keeps name, weight and plain value of each loss", "[losses][loss_values]") {
  const auto r = random_record(9, 5, 3, score_kind::logits, 261);
  const hg::switch_balance<double> balance{.weight = 0.3};
  hg::loss_values<double> values;
  routing_gradient<double> d, expected;
  d.reset(r);
  expected.reset(r);
  const double sum = hg::add_losses(r, d, values(balance), values(hg::router_z<double>{.weight = 0}),
                                    values("half", half_of_the_assignments));
  CHECK(sum == hg::add_losses(r, expected, balance, hg::router_z<double>{.weight = 0}, half_of_the_assignments));
  for (hg::index i = 0; i < d.logits.size(); ++i) CHECK(d.logits.data()[i] == expected.logits.data()[i]);

  CHECK(values.size() == 3);
  CHECK(values["switch_balance"].value == value_of(balance, r));
  CHECK(values["switch_balance"].weight == 0.3);
  CHECK(values["router_z"].value == value_of(hg::router_z<double>{}, r));  // watched, not trained on
  CHECK(values["router_z"].weight == 0);
  CHECK(values["half"].value == static_cast<double>(r.assignments.size()) / 2);
  CHECK(values["half"].weight == 1);
  std::string names;
  for (const auto& loss : values) names += std::string(loss.name) + " ";
  CHECK(names == "switch_balance router_z half ");
  CHECK_THROWS_WITH(values["other"], "loss_values: there is no loss of the name other");
}

TEST_CASE("loss_values has the mean over micro-batches until reset", "[losses][loss_values]") {
  hg::loss_values<double> values;
  const auto once = [&](std::uint64_t seed) {
    const auto r = random_record(9, 5, 3, score_kind::logits, seed);
    routing_gradient<double> d;
    d.reset(r);
    hg::add_losses(r, d, values(hg::switch_balance<double>{}));
    return value_of(hg::switch_balance<double>{}, r);
  };
  const double first = once(262), second = once(263);
  CHECK(values.size() == 1);
  CHECK(values["switch_balance"].value == second);
  CHECK(values["switch_balance"].calls == 2);
  CHECK(values["switch_balance"].mean() == Approx((first + second) / 2).epsilon(1e-15));
  values.reset();
  CHECK(values["switch_balance"].value == second);
  CHECK(values["switch_balance"].mean() == 0);
  const double third = once(264);
  CHECK(values["switch_balance"].mean() == third);
}

TEST_CASE("where one loss refuses, loss_values keeps the value of none", "[losses][loss_values]") {
  auto r = random_record(9, 5, 3, score_kind::positive, 265);
  hg::loss_values<double> values;
  routing_gradient<double> d;
  const auto once = [&](const routing<double>& of) {
    d.reset(of);
    return hg::add_losses(of, d, values(hg::switch_balance<double>{}), values(hg::router_z<double>{}));
  };
  auto without_logits = r;
  without_logits.logits.resize(0, 0);
  CHECK_THROWS_WITH(once(without_logits), contains("router_z: the gate records no router logits"));
  CHECK(values.size() == 0);
  const double sum = once(r);
  CHECK(sum == values["switch_balance"].value + values["router_z"].value);
  CHECK_THROWS_WITH(once(without_logits), contains("router_z"));
  CHECK(values["switch_balance"].calls == 1);
  CHECK(values["switch_balance"].mean() == values["switch_balance"].value);
}

TEST_CASE("a kept loss that is called by itself keeps its value", "[losses][loss_values]") {
  const auto r = random_record(9, 5, 3, score_kind::logits, 266);
  hg::loss_values<double> values;
  routing_gradient<double> d;
  d.reset(r);
  const double value = values(hg::switch_balance<double>{})(r, d);
  CHECK(values["switch_balance"].value == value);
  CHECK(values["switch_balance"].calls == 1);
}
