// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/routing/expert_placement.hpp>

#include "support/layer_checks.hpp"

#include <vector>

using namespace headgate_test;

namespace {

std::vector<hg::index> ranks_of(const hg::expert_placement& p) {
  std::vector<hg::index> ranks;
  for (hg::index e = 0; e < p.experts(); ++e) ranks.push_back(p.rank_of(e));
  return ranks;
}
std::vector<hg::index> experts_of(const hg::expert_placement& p, hg::index rank) {
  const auto ids = p.experts_of(rank);
  return {ids.begin(), ids.end()};
}
using list = std::vector<hg::index>;

}  // namespace

TEST_CASE("experts are placed in contiguous parts, the first ones longer by one", "[routing][expert_placement]") {
  CHECK(ranks_of({6, 3}) == list{0, 0, 1, 1, 2, 2});
  CHECK(ranks_of({5, 3}) == list{0, 0, 1, 1, 2});
  CHECK(ranks_of({7, 3}) == list{0, 0, 0, 1, 1, 2, 2});
  CHECK(ranks_of({2, 4}) == list{0, 1});
  CHECK(ranks_of({4, 1}) == list{0, 0, 0, 0});
  const hg::expert_placement more_ranks(2, 4);
  CHECK(more_ranks.ranks() == 4);
  CHECK(experts_of(more_ranks, 1) == list{1});
  CHECK(experts_of(more_ranks, 3).empty());
}

TEST_CASE("experts are placed as a map says, and listed ascending", "[routing][expert_placement]") {
  const hg::expert_placement p(list{2, 0, 2, 0, 2}, 4);
  CHECK((p.experts() == 5 && p.ranks() == 4));
  CHECK(ranks_of(p) == list{2, 0, 2, 0, 2});
  CHECK(experts_of(p, 0) == list{1, 3});
  CHECK(experts_of(p, 1).empty());
  CHECK(experts_of(p, 2) == list{0, 2, 4});
}

TEST_CASE("a placement refuses ranks that do not exist, and none at all", "[routing][expert_placement]") {
  CHECK(refusal([] {
          hg::expert_placement(list{0, 3}, 3);
        }) == "expert_placement: expert 1 is placed on rank 3, there are 3 ranks");
  CHECK(refusal([] { hg::expert_placement(list{-1}, 3); }) ==
        "expert_placement: expert 0 is placed on rank -1, there are 3 ranks");
  CHECK(refusal([] { hg::expert_placement(4, 0); }) ==
        "expert_placement: there are 4 experts and 0 ranks, both must be at least 1");
  CHECK(refusal([] { hg::expert_placement(list{}, 2); }) ==
        "expert_placement: there are 0 experts and 2 ranks, both must be at least 1");
}
