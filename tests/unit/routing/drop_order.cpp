// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/routing/drop_order.hpp>

#include "support/layer_checks.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

using namespace headgate_test;

namespace {

using record = hg::routing<double>;
using rows = std::vector<hg::index>;

constexpr hg::drop every_rule[] = {hg::drop::by_position, hg::drop::by_probability, hg::drop::by_choice,
                                   hg::drop::by_priority};

record record_of(hg::index tokens, hg::index experts, const std::vector<hg::assignment<double>>& assignments) {
  record r;
  r.reset(tokens, experts);
  r.best_first = true;
  for (const auto& a : assignments) r.assignments.push_back(a);
  return r;
}

/// k of 5 experts for each token, the heaviest first, as a gate lists them; a third of all at experts 0 and 1.
record random_record(hg::index tokens, hg::index k, std::uint64_t seed) {
  numbers next(seed);
  record r;
  r.reset(tokens, 5);
  r.best_first = true;
  for (hg::index t = 0; t < tokens; ++t) {
    std::vector<std::pair<double, hg::index>> row;
    for (hg::index e = 0; e < 5; ++e) row.emplace_back(next.within(1.0) + (e < 2 ? 0.5 : 0.0), e);
    std::sort(row.rbegin(), row.rend());
    for (hg::index i = 0; i < k; ++i) {
      const auto& [weight, expert] = row[static_cast<std::size_t>(i)];
      r.assignments.push_back({t, expert, weight});
    }
  }
  return r;
}

/// Which assignments an order keeps, `most` of each expert.
std::vector<bool> kept_by(const record& r, hg::drop rule, hg::index most) {
  hg::array<hg::index> choice(r.assignments.size()), heaviest(r.tokens + 1);
  const hg::detail::drop_order<double> order(r, rule, choice, heaviest);
  std::vector<bool> kept(static_cast<std::size_t>(r.assignments.size()), false);
  for (hg::index e = 0; e < r.experts; ++e) {
    rows own;
    for (hg::index a = 0; a < r.assignments.size(); ++a)
      if (r.assignments[a].expert == e) own.push_back(a);
    const auto count = static_cast<hg::index>(own.size());
    if (count > most) order.keep_first(own.data(), most, count);
    const auto end = own.begin() + (std::min)(most, count);
    CHECK(std::is_sorted(own.begin(), end));
    for (auto a = own.begin(); a != end; ++a) kept[static_cast<std::size_t>(*a)] = true;
  }
  return kept;
}

rows tokens_of(const record& r, const std::vector<bool>& kept, hg::index expert) {
  rows tokens;
  for (hg::index a = 0; a < r.assignments.size(); ++a)
    if (kept[static_cast<std::size_t>(a)] && r.assignments[a].expert == expert)
      tokens.push_back(r.assignments[a].token);
  return tokens;
}

/// Batch prioritised routing as the paper tells it (Riquelme et al. 2021): sort the tokens by s(x)_t = max_i g(x)_ti, then
/// for i = 1 ... k go through the tokens in that order; a token's i-th choice gets a place if its expert has one left.
/// A token's assignments are k in a row.
std::vector<bool> batch_prioritised(const record& r, hg::index k, hg::index most) {
  const auto priority = [&](hg::index t) {
    double s = r.assignments[t * k].weight;
    for (hg::index i = 1; i < k; ++i) s = (std::max)(s, r.assignments[t * k + i].weight);
    return s;
  };
  rows order;
  for (hg::index t = 0; t < r.tokens; ++t) order.push_back(t);
  std::stable_sort(order.begin(), order.end(), [&](hg::index a, hg::index b) { return priority(a) > priority(b); });
  std::vector<hg::index> taken(static_cast<std::size_t>(r.experts), 0);
  std::vector<bool> kept(static_cast<std::size_t>(r.assignments.size()), false);
  for (hg::index i = 0; i < k; ++i)
    for (const hg::index t : order) {
      hg::index& count = taken[static_cast<std::size_t>(r.assignments[t * k + i].expert)];
      if (count == most) continue;
      ++count;
      kept[static_cast<std::size_t>(t * k + i)] = true;
    }
  return kept;
}

}  // namespace

TEST_CASE("the four orders keep what their definitions say, by hand", "[routing][drop_order]") {
  // Expert 0 is wanted by tokens 0 (second choice), 1, 2 (first choices) and 3 (second choice).
  const record r = record_of(
      4, 3, {{0, 1, 0.9}, {0, 0, 0.4}, {1, 0, 0.5}, {1, 2, 0.3}, {2, 0, 0.6}, {2, 1, 0.2}, {3, 2, 0.7}, {3, 0, 0.55}});
  const auto at_0 = [&](hg::drop rule, hg::index most) { return tokens_of(r, kept_by(r, rule, most), 0); };
  CHECK(at_0(hg::drop::by_position, 2) == rows{0, 1});
  CHECK(at_0(hg::drop::by_probability, 2) == rows{2, 3});
  CHECK(at_0(hg::drop::by_choice, 1) == rows{1});
  CHECK(at_0(hg::drop::by_priority, 1) == rows{2});        // both first choices, token 2 has 0.6, token 1 0.5
  CHECK(at_0(hg::drop::by_choice, 3) == rows{0, 1, 2});    // the second choices by position,
  CHECK(at_0(hg::drop::by_priority, 3) == rows{0, 1, 2});  // and by priority: 0.9 of token 0, though its weight is 0.4
  CHECK(at_0(hg::drop::by_probability, 3) == rows{1, 2, 3});
}

TEST_CASE("equal priorities go to the lower token, wherever its assignment stands", "[routing][drop_order]") {
  const record r = record_of(3, 1, {{2, 0, 0.5}, {1, 0, 0.5}, {0, 0, 0.5}});
  CHECK(tokens_of(r, kept_by(r, hg::drop::by_priority, 1), 0) == rows{0});
  CHECK(tokens_of(r, kept_by(r, hg::drop::by_priority, 2), 0) == rows{1, 0});
  CHECK(tokens_of(r, kept_by(r, hg::drop::by_choice, 1), 0) == rows{2});
}

TEST_CASE("by_priority is batch prioritised routing", "[routing][drop_order]") {
  for (const hg::index tokens : {1, 2, 9, 60, 400})
    for (const hg::index k : {1, 2, 3, 5})
      for (const hg::index most : {1, 2, 7, 50, 200}) {
        record r = random_record(tokens, k, static_cast<std::uint64_t>(10 * tokens + k));
        CHECK(kept_by(r, hg::drop::by_priority, most) == batch_prioritised(r, k, most));
        for (auto& a : r.assignments) a.weight = std::round(4 * a.weight) / 4;  // many equal priorities
        CHECK(kept_by(r, hg::drop::by_priority, most) == batch_prioritised(r, k, most));
      }
}

TEST_CASE("by_priority needs no more than the ranks of the priorities, and not the tokens' places",
          "[routing][drop_order]") {
  const hg::index tokens = 80, k = 2, most = 11;
  const record r = random_record(tokens, k, 5);
  const auto kept = kept_by(r, hg::drop::by_priority, most);
  record bent = r;
  for (auto& a : bent.assignments) a.weight = std::exp(9 * a.weight);  // another scale, the same ranks
  CHECK(kept_by(bent, hg::drop::by_priority, most) == kept);

  record turned;  // token t becomes token (t + 33) % 80
  turned.reset(tokens, r.experts);
  for (hg::index t = 0; t < tokens; ++t)
    for (hg::index i = 0; i < k; ++i) {
      const auto& a = r.assignments[(t + tokens - 33) % tokens * k + i];
      turned.assignments.push_back({t, a.expert, a.weight});
    }
  const auto then = kept_by(turned, hg::drop::by_priority, most);
  bool same = true;
  hg::index differ = 0;
  const auto by_place = kept_by(r, hg::drop::by_choice, most), moved = kept_by(turned, hg::drop::by_choice, most);
  for (hg::index t = 0; t < tokens; ++t)
    for (hg::index i = 0; i < k; ++i) {
      const auto here = static_cast<std::size_t>(t * k + i),
                 there = static_cast<std::size_t>((t + 33) % tokens * k + i);
      same = same && kept[here] == then[there];
      differ += by_place[here] != moved[there] ? 1 : 0;
    }
  CHECK(same);
  CHECK(differ > 10);  // which is not so for the others
}

TEST_CASE("all orders agree where there is room for all, and each keeps as many where there is not",
          "[routing][drop_order]") {
  const record r = random_record(50, 3, 8);
  hg::index largest = 0;
  for (const hg::index load : r.load()) largest = (std::max)(largest, load);
  for (const hg::drop rule : every_rule) {
    CHECK(kept_by(r, rule, largest) == std::vector<bool>(150, true));
    for (const hg::index most : {1, 5, 20}) {
      hg::index expected = 0;
      for (const hg::index load : r.load()) expected += (std::min)(load, most);
      const auto kept = kept_by(r, rule, most);
      CHECK(std::count(kept.begin(), kept.end(), true) == expected);
    }
  }
}

TEST_CASE("to drop by choices is refused where the gate does not say that it lists the best first",
          "[routing][drop_order]") {
  record r = random_record(6, 2, 9);
  const auto said = [&](const hg::capacity& limit) { return refusal([&] { hg::detail::check_drop(limit, r); }); };
  for (const hg::drop rule : every_rule) CHECK(said({.factor = 1, .drop = rule}).empty());
  r.best_first = false;
  CHECK(said({.drop = hg::drop::by_choice}).empty());  // dropless
  CHECK(said({.factor = 1}).empty());
  CHECK(said({.factor = 1, .drop = hg::drop::by_probability}).empty());
  CHECK(said({.factor = 1, .drop = hg::drop::by_choice}) ==
        "capacity: drop is by_choice, but the gate does not say that it lists a token's experts best first "
        "(routing::best_first, docs/writing-a-gate.md)");
  CHECK_THAT(said({.drop = hg::drop::by_priority, .fixed = 2}), contains("drop is by_priority, but the gate"));
  r.assignments.clear();
  CHECK(said({.factor = 1, .drop = hg::drop::by_choice}).empty());
}
