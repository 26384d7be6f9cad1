// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/select/group_limit.hpp>

#include <headgate/gates/select/adjusted.hpp>
#include <headgate/gates/select/top_k.hpp>
#include <headgate/gates/select/top_p.hpp>

#include "support/gate_checks.hpp"

#include <limits>

namespace hg = headgate;
using namespace headgate_test;
using hg::group_mask;
using row_of_scores = std::vector<double>;

namespace {

constexpr double off = -std::numeric_limits<double>::infinity();
constexpr double out = std::numeric_limits<double>::lowest();  // of a group that is not kept

template <class Score>
row_of_scores limited(const hg::group_limit<Score>& limit, row_of_scores s) {
  const auto experts = static_cast<hg::index>(s.size());
  row_of_scores memory(s.size() + 1, -7);
  std::vector<hg::index> ids(s.size() + 1, -7);
  limit(s.data(), experts, memory.data(), ids.data());
  CHECK(memory.back() == -7);
  CHECK(ids.back() == -7);
  return s;
}

}  // namespace

TEST_CASE("group_limit keeps the groups with the best expert", "[gates][select][group_limit]") {
  const row_of_scores s = {0.1, 0.5, 0.3, 0.35, 0.2, 0.4};
  CHECK(limited(hg::group_limit<hg::group_max>{.groups = 3, .keep = 1}, s) ==
        row_of_scores{0.1, 0.5, out, out, out, out});
  CHECK(limited(hg::group_limit<hg::group_max>{.groups = 3, .keep = 2}, s) ==
        row_of_scores{0.1, 0.5, out, out, 0.2, 0.4});
  CHECK(limited(hg::group_limit<hg::group_max>{.groups = 3, .keep = 3}, s) == s);
  CHECK(limited(hg::group_limit<hg::group_max>{}, s) == s);
  CHECK(limited(hg::group_limit<hg::group_max>{.groups = 6, .keep = 1}, s) ==
        row_of_scores{out, 0.5, out, out, out, out});
}

TEST_CASE("group_limit keeps the groups whose best experts sum to most", "[gates][select][group_limit]") {
  const row_of_scores s = {0.1, 0.5, 0.0, 0.3, 0.35, 0.34};
  CHECK(limited(hg::group_limit<hg::top_two_sum>{.groups = 2, .keep = 1}, s) ==
        row_of_scores{out, out, out, 0.3, 0.35, 0.34});
  CHECK(limited(hg::group_limit<hg::group_max>{.groups = 2, .keep = 1}, s) ==
        row_of_scores{0.1, 0.5, 0.0, out, out, out});
  using counted = hg::group_limit<hg::group_top_sum<>>;
  CHECK(limited(counted{.groups = 2, .keep = 1, .score = {1}}, s) == row_of_scores{0.1, 0.5, 0.0, out, out, out});
  CHECK(limited(counted{.groups = 2, .keep = 1, .score = {2}}, s) == row_of_scores{out, out, out, 0.3, 0.35, 0.34});
  const row_of_scores t = {0.5, 0.5, 0.0, 0.4, 0.4, 0.3};
  CHECK(limited(counted{.groups = 2, .keep = 1, .score = {2}}, t) == row_of_scores{0.5, 0.5, 0.0, out, out, out});
  CHECK(limited(counted{.groups = 2, .keep = 1, .score = {3}}, t) == row_of_scores{out, out, out, 0.4, 0.4, 0.3});
}

TEST_CASE("equal groups go to the lower index", "[gates][select][group_limit]") {
  const row_of_scores equal(8, 0.25);
  CHECK(limited(hg::group_limit<hg::top_two_sum>{.groups = 4, .keep = 2}, equal) ==
        row_of_scores{0.25, 0.25, 0.25, 0.25, out, out, out, out});
  CHECK(limited(hg::group_limit<hg::group_max>{.groups = 4, .keep = 1}, {1, 2, 3, 0, 0, 3, 3, 3}) ==
        row_of_scores{out, out, 3, 0, out, out, out, out});
}

TEST_CASE("a group with fewer experts that are on than it is judged by ranks before one that is off",
          "[gates][select][group_limit]") {
  using by_two = hg::group_limit<hg::top_two_sum>;
  CHECK(limited(by_two{.groups = 2, .keep = 1}, {off, off, off, off, -9, off}) ==
        row_of_scores{off, off, off, off, -9, off});
  CHECK(limited(by_two{.groups = 2, .keep = 1}, {0.1, 0.2, off, off, 0.5, off}) ==
        row_of_scores{out, out, off, off, 0.5, off});
  CHECK(limited(by_two{.groups = 2, .keep = 1}, {0.3, 0.2, off, off, 0.5, off}) ==
        row_of_scores{0.3, 0.2, off, off, out, off});  // 0.3 + 0.2 and 0.5: the lower group
  CHECK(limited(by_two{.groups = 2, .keep = 1}, row_of_scores(6, off)) == row_of_scores(6, off));
}

TEST_CASE("experts of other groups get zero or the lowest number, and one that is switched off stays so",
          "[gates][select][group_limit]") {
  const row_of_scores s = {-1, -2, -3, off};
  using limit = hg::group_limit<hg::group_max>;
  CHECK(limited(limit{.groups = 2, .keep = 1, .masked = group_mask::zero}, s) == row_of_scores{-1, -2, 0, off});
  CHECK(limited(limit{.groups = 2, .keep = 1, .masked = group_mask::minus_infinity}, s) ==
        row_of_scores{-1, -2, out, off});
  CHECK(limited(limit{.groups = 2, .keep = 1}, {off, off, off, -9}) == row_of_scores{off, off, off, -9});
  CHECK(limited(limit{.groups = 2, .keep = 1}, {off, off, off, off}) == row_of_scores{off, off, off, off});
}

TEST_CASE("where the kept groups have fewer than k experts that are on, others that are on come before any that is off",
          "[gates][select][group_limit]") {
  using limit = hg::group_limit<hg::group_max>;
  const auto chosen = [](const row_of_scores& s, hg::index k) {
    const hg::adjusted<limit, hg::top_k<>> select{.adjust = {.groups = 3, .keep = 1}, .select = {k}};
    std::vector<hg::index> ids(s.size());
    row_of_scores memory(2 * s.size());
    ids.resize(
        static_cast<std::size_t>(select({}, s.data(), static_cast<hg::index>(s.size()), ids.data(), memory.data())));
    return ids;
  };
  CHECK(chosen({off, 9, off, 1, 2, 3}, 2) == std::vector<hg::index>{1, 3});
  CHECK(chosen({off, 1, off, 0.5, off, 9}, 2) == std::vector<hg::index>{5, 1});
  CHECK(chosen({-1, off, -3, -2, off, off}, 2) == std::vector<hg::index>{0, 2});
  CHECK(chosen({off, off, off, off, 5, off}, 2).front() == 4);

  // A selection by mass stays within the groups that are kept.
  const hg::adjusted<limit, hg::top_p<double>> by_mass{.adjust = {.groups = 2, .keep = 1}, .select = {.mass = 0.99}};
  const row_of_scores s = {0.2, 0.2, 0.5, 0.1};
  std::vector<hg::index> ids(4);
  row_of_scores memory(8);
  CHECK(by_mass({}, s.data(), 4, ids.data(), memory.data()) == 2);
  CHECK((ids[0] == 2 && ids[1] == 3));
}

TEST_CASE("group_limit refuses groups that make no sense, with both row_of_scores", "[gates][select][group_limit]") {
  const auto said = [](auto limit, hg::index experts) {
    try {
      limit.check({4, experts});
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  using by_max = hg::group_limit<hg::group_max>;
  using by_sum = hg::group_limit<hg::group_top_sum<>>;
  CHECK(said(by_max{.groups = 0}, 8) == "group_limit: groups is 0, it must be at least 1");
  CHECK(said(by_max{.groups = 2, .keep = 0}, 8) == "group_limit: keep is 0, it must be at least 1");
  CHECK(said(by_max{.groups = 3}, 8) == "group_limit: groups is 3, which does not divide the gate's 8 experts");
  CHECK(said(by_max{.groups = 16}, 8) == "group_limit: groups is 16, which does not divide the gate's 8 experts");
  CHECK(said(by_max{.groups = 2, .keep = 3}, 8) == "group_limit: keep is 3, there are 2 groups");
  CHECK(said(by_sum{.groups = 4, .keep = 1, .score = {3}}, 8) ==
        "group_limit: a group is judged by its best 3 experts, it has 2");
  CHECK(said(by_sum{.groups = 4, .keep = 1}, 8) ==
        "group_limit: the number of experts that a group is judged by is 0, it must be at least 1");
  CHECK(said(hg::group_limit<hg::top_two_sum>{.groups = 8}, 8) ==
        "group_limit: a group is judged by its best 2 experts, it has 1");
  CHECK(said(by_max{.groups = 8, .keep = 8}, 8).empty());
  const by_max two_of_four{.groups = 4, .keep = 2};
  CHECK_NOTHROW(two_of_four.check_count({4, 8}, 4));
  CHECK_THROWS_WITH(two_of_four.check_count({4, 8}, 5),
                    "group_limit: the selection names 5 experts, the 2 groups that are kept have 4");
}
