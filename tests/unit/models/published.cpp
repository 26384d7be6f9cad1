// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/published.hpp>

#include "support/catch.hpp"

#include <set>
#include <string>

namespace hg = headgate;

TEST_CASE("each model type belongs to one family", "[models][published]") {
  std::set<std::string> types, names;
  int families = 0;
  hg::for_each_family([&]<class Family>(const Family&) {
    static_assert(hg::loadable_family<Family>);
    ++families;
    CHECK(names.insert(std::string(Family::name)).second);
    for (const std::string_view type : Family::model_types) {
      INFO(std::string(type));
      CHECK(types.insert(std::string(type)).second);
    }
  });
  CHECK(families == 18);
}
