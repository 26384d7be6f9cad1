// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/select/ranked.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;
using ids = std::vector<hg::index>;

TEST_CASE("ranked selects the experts of certain ranks, best first", "[gates][select][ranked]") {
  const std::vector<double> s = {0.1, -3, 2, 0.5, 1.5};
  CHECK(selected(hg::ranked{.skip = 0, .k = 2}, s) == ids{2, 4});
  CHECK(selected(hg::ranked{.skip = 1, .k = 1}, s) == ids{4});
  CHECK(selected(hg::ranked{.skip = 1, .k = 3}, s) == ids{4, 3, 0});
  CHECK(selected(hg::ranked{.skip = 4, .k = 1}, s) == ids{1});
  CHECK(selected(hg::ranked{.skip = 0, .k = 5}, s) == ids{2, 4, 3, 0, 1});
  CHECK(selected(hg::ranked{.skip = 1, .k = 2}, {1, 1, 1, 1}) == ids{1, 2});
}

TEST_CASE("ranked refuses ranks that no expert has", "[gates][select][ranked]") {
  CHECK_NOTHROW(hg::ranked{.skip = 2, .k = 1}.check({4, 3}));
  CHECK_THROWS_WITH((hg::ranked{.skip = -1, .k = 1}.check({4, 3})), "ranked: skip is -1, it must be at least 0");
  CHECK_THROWS_WITH((hg::ranked{.skip = 1, .k = 0}.check({4, 3})), "ranked: k is 0, it must be at least 1");
  CHECK_THROWS_WITH((hg::ranked{.skip = 2, .k = 2}.check({4, 3})), "ranked: skip + k is 2 + 2, the gate has 3 experts");
}

TEST_CASE("ranked takes another k and leaves what it skips", "[gates][select][ranked]") {
  const hg::ranked other = hg::ranked{.skip = 1, .k = 1}.with_k(2);
  CHECK(other.count(9) == 2);
  CHECK(selected(other, {3, 2, 1}) == ids{1, 2});
}
