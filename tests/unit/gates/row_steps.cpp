// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/row_steps.hpp>

#include "support/gate_checks.hpp"

using namespace headgate_test;

namespace {

struct a_selection {};
struct a_trusted_selection {
  static constexpr bool names_each_once = true;
};

}  // namespace

TEST_CASE("what a selection names is checked unless it vouches for itself", "[gates][row_steps]") {
  hg::detail::row_memory<double> memory;
  memory.reset(3, 0);
  hg::index token = 0;
  const auto right = [&](std::initializer_list<hg::index> ids, hg::index count) {
    return hg::detail::names_experts_once<a_selection>(memory, token++, ids.begin(), count, 3);
  };
  CHECK(right({2, 0, 1}, 3));
  CHECK(right({2, 0}, 2));
  CHECK(right({}, 0));
  CHECK(!right({2, 2}, 2));
  CHECK(!right({3}, 1));
  CHECK(!right({-1}, 1));
  CHECK(!right({}, -1));
  CHECK(!right({}, 4));
  const hg::index twice[] = {1, 1};
  CHECK(hg::detail::names_experts_once<a_trusted_selection>(memory, token, twice, 2, 3));
}
