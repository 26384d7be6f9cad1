// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/single_rank.hpp>

#include "support/communicator_checks.hpp"

#include <string>
#include <utility>
#include <vector>

namespace hg = headgate;

namespace {

struct alone {
  [[nodiscard]] hg::index size() const { return 1; }

  template <class F>
  auto operator()(double, const F& f) const {
    hg::single_rank rank;
    return std::vector<std::pair<hg::index, std::string>>{{0, f(rank)}};
  }
};

}  // namespace

TEST_CASE("single_rank does what every communicator does", "[communicators][single_rank]") {
  headgate_test::check_communicator(alone{});
}
