// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/concepts/routing_loss.hpp>
#include <headgate/losses/router_z.hpp>
#include <headgate/losses/switch_balance.hpp>

#include "support/catch.hpp"

namespace hg = headgate;

TEST_CASE("the library's losses and a lambda model routing_loss", "[concepts][routing_loss]") {
  const auto count = [](const hg::routing<float>& r, hg::routing_gradient<float>&) {
    return static_cast<float>(r.assignments.size());
  };
  STATIC_REQUIRE(hg::routing_loss<decltype(count), float>);
  STATIC_REQUIRE(hg::routing_loss<hg::switch_balance<float>, float>);
  STATIC_REQUIRE(hg::routing_loss<hg::router_z<double>, double>);
}

TEST_CASE("a loss of another scalar or without a value does not model routing_loss", "[concepts][routing_loss]") {
  const auto no_value = [](const hg::routing<float>&, hg::routing_gradient<float>&) {};
  STATIC_REQUIRE_FALSE(hg::routing_loss<decltype(no_value), float>);
  STATIC_REQUIRE_FALSE(hg::routing_loss<hg::switch_balance<float>, double>);
  STATIC_REQUIRE_FALSE(hg::routing_loss<int, float>);
}
