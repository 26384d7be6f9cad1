// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/concepts/routing_loss.hpp>
#include <headgate/losses/router_z.hpp>
#include <headgate/losses/switch_balance.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

namespace hg = headgate;

TEST_CASE("the library's losses and a lambda model routing_loss", "[concepts][routing_loss]") {
  const auto count = [](const hg::routing<float>& r, hg::routing_gradient<float>&) {
    return static_cast<float>(r.assignments.size());
  };
  STATIC_REQUIRE(hg::routing_loss<decltype(count), float>);
  STATIC_REQUIRE(hg::routing_loss<hg::switch_balance<float>, float>);
  STATIC_REQUIRE(hg::routing_loss<hg::router_z<double>, double>);
}

TEST_CASE("the weight of a loss is its member, and one where it has none", "[concepts][routing_loss]") {
  const auto lambda = [](const hg::routing<float>&, hg::routing_gradient<float>&) { return 2.0f; };
  CHECK(hg::weight_of<float>(lambda) == 1);
  CHECK(hg::weight_of<float>(hg::switch_balance<float>{}) == 1);
  CHECK(hg::weight_of<float>(hg::switch_balance<float>{.weight = 0.25f}) == 0.25f);
}

TEST_CASE("losses add up with their weights, value and gradient", "[concepts][routing_loss]") {
  using namespace headgate_test;
  const auto r = random_record(9, 5, 3, score_kind::logits, 1);
  const auto lambda = [](const routing<double>&, routing_gradient<double>& d) {
    d.logits(0, 0) += 3;
    return 2.0;
  };
  const hg::switch_balance<double> balance{.weight = 0.25};
  const hg::router_z<double> z{.weight = 0.5};
  routing_gradient<double> d, of_balance, of_z;
  for (auto* one : {&d, &of_balance, &of_z}) one->reset(r);
  const double balance_value = balance(r, of_balance), z_value = z(r, of_z);
  CHECK(hg::add_losses(r, d, balance, z, lambda) == Approx(0.25 * balance_value + 0.5 * z_value + 2).epsilon(1e-15));
  for (hg::index i = 0; i < r.logits.size(); ++i)
    CHECK(d.logits.data()[i] ==
          Approx(of_balance.logits.data()[i] + of_z.logits.data()[i] + (i == 0 ? 3 : 0)).epsilon(1e-14));
  CHECK(hg::add_losses(r, d) == 0);
}

TEST_CASE("a loss of another scalar or without a value does not model routing_loss", "[concepts][routing_loss]") {
  const auto no_value = [](const hg::routing<float>&, hg::routing_gradient<float>&) {};
  STATIC_REQUIRE_FALSE(hg::routing_loss<decltype(no_value), float>);
  STATIC_REQUIRE_FALSE(hg::routing_loss<hg::switch_balance<float>, double>);
  STATIC_REQUIRE_FALSE(hg::routing_loss<int, float>);
}
