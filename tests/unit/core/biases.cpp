// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/biases.hpp>
#include <headgate/experts/linear.hpp>

#include "support/catch.hpp"

namespace hg = headgate;

TEST_CASE("biases are a matter of the type: a policy without them lists none and stores none", "[core][biases]") {
  using without = hg::linear_expert<float, 3, 2>;
  using with = hg::linear_expert<float, 3, 2, hg::biases::used>;
  STATIC_REQUIRE(std::tuple_size_v<decltype(without::fields)> + 1 == std::tuple_size_v<decltype(with::fields)>);
  std::mt19937_64 generator(1);
  CHECK(without{}.init(generator).bias.size() == 0);
  CHECK(with{}.init(generator).bias.size() == 2);
}
