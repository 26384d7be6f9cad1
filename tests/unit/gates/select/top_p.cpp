// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/select/top_p.hpp>

#include "support/gate_checks.hpp"

#include <limits>

namespace hg = headgate;
using namespace headgate_test;
using ids = std::vector<hg::index>;

TEST_CASE("top_p has the golden sets", "[gates][select][top_p]") {
  const hg::top_p<double> select;
  CHECK(select.mass == 0.4);
  CHECK(selected(select, {.45, .25, .2, .1}) == ids{0});
  CHECK(selected(select, {.35, .3, .2, .15}) == ids{0, 1});
  CHECK(selected(select, std::vector<double>(16, 1.0 / 16)) == ids{0, 1, 2, 3, 4, 5, 6});
}

TEST_CASE("top_p stops only above its mass, not at it", "[gates][select][top_p]") {
  CHECK(selected(hg::top_p<double>{.mass = 0.5}, {.25, .5, .25}) == ids{1, 0});
  CHECK(selected(hg::top_p<double>{.mass = 0}, {0, 1, 0}) == ids{1});
}

TEST_CASE("top_p selects all experts if no prefix exceeds its mass", "[gates][select][top_p]") {
  CHECK(selected(hg::top_p<double>{.mass = 1}, {.25, .5, .25}) == ids{1, 0, 2});
  CHECK(selected(hg::top_p<double>{.mass = std::numeric_limits<double>::infinity()}, {.25, .5, .25}) == ids{1, 0, 2});
}

TEST_CASE("top_p gives ties to the lower expert", "[gates][select][top_p]") {
  CHECK(selected(hg::top_p<double>{.mass = 0.3}, {.1, .3, .3, .3}) == ids{1, 2});
}

TEST_CASE("top_p refuses a mass that is negative or NaN", "[gates][select][top_p]") {
  CHECK_THROWS_WITH(hg::top_p<double>{.mass = -0.2}.check(no_shape), "top_p: mass is -0.2, it must be at least 0");
  CHECK_THROWS_WITH(hg::top_p<double>{.mass = std::numeric_limits<double>::quiet_NaN()}.check(no_shape),
                    contains("top_p: mass is"));
}

TEST_CASE("top_p leaves out what is switched off, but names one expert at least", "[gates][select][top_p]") {
  constexpr double off = -std::numeric_limits<double>::infinity();
  CHECK(selected(hg::top_p<double>{.mass = 1}, {0.4, off, 0.6}) == std::vector<hg::index>{2, 0});
  CHECK(selected(hg::top_p<double>{.mass = 0.9}, {0.3, off, 0.5}) == std::vector<hg::index>{2, 0});
  CHECK(selected(hg::top_p<double>{.mass = 0.5}, {off, off, off}) == std::vector<hg::index>{0});
  constexpr double masked = std::numeric_limits<double>::lowest();  // by a group limit
  CHECK(selected(hg::top_p<double>{.mass = 0.9}, {0.3, masked, off, 0.5}) == std::vector<hg::index>{3, 0});
  CHECK(selected(hg::top_p<double>{.mass = 1}, {0.3, masked, off, 0.5}) == std::vector<hg::index>{3, 0});
}
