// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/select/all_experts.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

static_assert(std::is_empty_v<hg::all_experts>);

TEST_CASE("all_experts selects every expert in index order", "[gates][select][all_experts]") {
  CHECK(selected(hg::all_experts{}, {3, -1, 0}) == std::vector<hg::index>{0, 1, 2});
}
