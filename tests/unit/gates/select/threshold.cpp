// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/select/threshold.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;
using ids = std::vector<hg::index>;

static_assert(std::is_empty_v<hg::positive>);

TEST_CASE("at_least selects the scores that reach its value, in index order", "[gates][select][threshold]") {
  CHECK(selected(hg::at_least<double>{}, {-1, 0, 2, -0.0, 1}) == ids{1, 2, 3, 4});
  CHECK(selected(hg::at_least<double>{.value = 1}, {-1, 0, 2, -0.0, 1}) == ids{2, 4});
  CHECK(selected(hg::at_least<double>{.value = 3}, {-1, 0, 2, -0.0, 1}).empty());
}

TEST_CASE("positive selects the scores above zero", "[gates][select][threshold]") {
  CHECK(selected(hg::positive{}, {-1, 0, 2, -0.0, 1e-300}) == ids{2, 4});
  CHECK(selected(hg::positive{}, {-1, 0}).empty());
}

TEST_CASE("at_least refuses a value that is NaN", "[gates][select][threshold]") {
  CHECK_THROWS_WITH(hg::at_least<double>{.value = std::numeric_limits<double>::quiet_NaN()}.check(no_shape),
                    contains("at_least: value is"));
  CHECK_NOTHROW(hg::at_least<double>{.value = -1}.check(no_shape));
}
