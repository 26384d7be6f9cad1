// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/routing/plan.hpp>

#include <headgate/parallel/thread_pool.hpp>

#include "support/layer_checks.hpp"
#include "support/shuffled.hpp"

#include <algorithm>
#include <limits>

using namespace headgate_test;

namespace {

using record = hg::routing<double>;

record record_of(hg::index tokens, hg::index experts, const std::vector<hg::assignment<double>>& assignments) {
  record r;
  r.reset(tokens, experts);
  r.best_first = true;
  for (const auto& a : assignments) r.assignments.push_back(a);
  return r;
}

/// k different experts for each token, in random order.
record random_record(hg::index tokens, hg::index experts, hg::index k, std::uint64_t seed) {
  numbers next(seed);
  record r;
  r.reset(tokens, experts);
  r.best_first = true;
  for (hg::index t = 0; t < tokens; ++t) {
    std::vector<hg::index> ids(static_cast<std::size_t>(experts));
    for (std::size_t e = 0; e < ids.size(); ++e) ids[e] = static_cast<hg::index>(e);
    for (std::size_t e = 0; e < static_cast<std::size_t>(k); ++e) {
      std::swap(ids[e], ids[e + static_cast<std::size_t>(next.below(experts - static_cast<hg::index>(e)))]);
      r.assignments.push_back({t, ids[e], next.within(1.0)});
    }
  }
  return r;
}

void shuffle(record& r, std::uint64_t seed) {
  numbers next(seed);
  for (hg::index i = r.assignments.size(); i > 1; --i) std::swap(r.assignments[i - 1], r.assignments[next.below(i)]);
}

std::vector<hg::index> slots_of(const hg::dispatch_plan& plan, hg::index token) {
  const auto& offsets = plan.token_offsets();
  return {plan.token_slots().begin() + offsets[token], plan.token_slots().begin() + offsets[token + 1]};
}

/// All that a plan promises, from the definition.
void check_slots(const record& r, const hg::dispatch_plan& plan) {
  const auto g = plan.groups();
  REQUIRE(g.count == r.experts);
  REQUIRE(g.slots() == plan.slots());
  CHECK(plan.slots() + plan.dropped() == r.assignments.size());
  bool right = g.offsets[0] == 0;
  for (hg::index e = 0; e < r.experts; ++e)
    for (hg::index s = g.offsets[e]; s < g.offsets[e + 1]; ++s) {
      const auto& a = r.assignments[plan.assignment_of(s)];
      right = right && a.expert == e && a.token == g.rows[s] && plan.slot_of(plan.assignment_of(s)) == s;
      if (s > g.offsets[e]) right = right && plan.assignment_of(s) > plan.assignment_of(s - 1);  // stable
    }
  CHECK(right);
  std::vector<std::vector<hg::index>> expected(static_cast<std::size_t>(r.tokens));
  for (hg::index s = 0; s < plan.slots(); ++s)
    expected[static_cast<std::size_t>(r.assignments[plan.assignment_of(s)].token)].push_back(s);  // ascending
  bool listed = plan.token_offsets().size() == r.tokens + 1 && plan.token_offsets()[0] == 0;
  for (hg::index t = 0; t < r.tokens && listed; ++t)
    listed = slots_of(plan, t) == expected[static_cast<std::size_t>(t)];
  CHECK(listed);
}

bool same_plan(const hg::dispatch_plan& a, const hg::dispatch_plan& b) {
  const auto same = [](const auto& x, const auto& y) { return std::equal(x.begin(), x.end(), y.begin(), y.end()); };
  bool equal = a.slots() == b.slots() && same(a.token_offsets(), b.token_offsets()) &&
               same(a.token_slots(), b.token_slots()) &&
               std::equal(a.groups().offsets, a.groups().offsets + a.groups().count + 1, b.groups().offsets) &&
               std::equal(a.groups().rows, a.groups().rows + a.slots(), b.groups().rows);
  for (hg::index s = 0; s < a.slots() && equal; ++s) equal = a.assignment_of(s) == b.assignment_of(s);
  for (hg::index i = 0; i < a.slots() + a.dropped() && equal; ++i) equal = a.slot_of(i) == b.slot_of(i);
  return equal;
}

/// The plan of one thread is right, and those of others are the same.
void check_makers(const record& r, const hg::capacity& limit, const hg::thread_pool& pool) {
  hg::dispatch_plan alone, shared, mixed;
  alone.make(r, limit);
  shared.make(r, limit, pool);
  mixed.make(r, limit, shuffled{4, 7});
  check_slots(r, alone);
  CHECK(same_plan(alone, shared));
  CHECK(same_plan(alone, mixed));
}

}  // namespace

TEST_CASE("a plan is a stable sort by expert for assignments in any order", "[routing][plan]") {
  hg::dispatch_plan plan;
  for (const hg::index tokens : {1, 2, 17, 100})
    for (const hg::index experts : {1, 3, 8})
      for (hg::index k = 1; k <= experts; k += 2) {
        record r = random_record(tokens, experts, k, static_cast<std::uint64_t>(tokens * experts + k));
        plan.make(r, {});
        check_slots(r, plan);
        shuffle(r, 5);
        plan.make(r, {});
        check_slots(r, plan);
      }
}

TEST_CASE("a plan of several chunks does not depend on who makes them", "[routing][plan]") {
  const hg::thread_pool pool(3);
  for (const hg::index experts : {3, 7, 300}) {
    record r = random_record(9001, experts, 3, 4);  // 27003 assignments: 5 or 6 chunks
    for (const bool in_order : {true, false}) {
      if (!in_order) shuffle(r, 8);
      for (const hg::capacity limit : {hg::capacity{}, hg::capacity{.factor = 0.7}}) check_makers(r, limit, pool);
    }
  }
}

TEST_CASE("a plan lists the slots of tokens without assignments, at both ends and between, as none",
          "[routing][plan]") {
  hg::dispatch_plan plan;
  record r;
  r.reset(20000, 3);
  for (hg::index t = 50; t < 19000; t += 2 + t % 3) r.assignments.push_back({t, t % 3, 1.0});
  plan.make(r, {}, hg::thread_pool{2});
  check_slots(r, plan);
  record empty;
  empty.reset(70, 3);
  plan.make(empty, {});
  check_slots(empty, plan);
}

TEST_CASE("one token may have more assignments than a chunk", "[routing][plan]") {
  hg::dispatch_plan plan;
  record r;
  r.reset(3, 2);
  for (hg::index a = 0; a < 20000; ++a) r.assignments.push_back({a < 5 ? 0 : 1, a % 2, 1.0});
  plan.make(r, {}, shuffled{3, 1});
  check_slots(r, plan);
}

TEST_CASE("the first refused assignment of many chunks is named", "[routing][plan]") {
  record r = random_record(9000, 4, 2, 4);
  r.assignments[17000].expert = 9;
  r.assignments[6000].token = -1;
  hg::dispatch_plan plan;
  const std::string expected = "dispatch_plan: assignment 6000 names token -1, the batch has 9000";
  CHECK(refusal([&] { plan.make(r, {}); }) == expected);
  CHECK(refusal([&] { plan.make(r, {}, hg::thread_pool{2}); }) == expected);
}

TEST_CASE("the experts' counts sum to tokens times k", "[routing][plan]") {
  const record r = random_record(53, 8, 3, 9);
  hg::dispatch_plan plan;
  plan.make(r, {});
  hg::index sum = 0;
  const auto load = r.load();
  for (hg::index e = 0; e < 8; ++e) {
    CHECK(load[e] == plan.groups().size(e));
    sum += load[e];
  }
  CHECK(sum == 53 * 3);
}

TEST_CASE("an empty batch, no assignments, one expert for all, and a token twice at one expert are plans too",
          "[routing][plan]") {
  hg::dispatch_plan plan;
  const record none = record_of(0, 4, {});
  plan.make(none, {});
  check_slots(none, plan);
  CHECK(plan.slots() == 0);

  const record idle = record_of(3, 4, {});
  plan.make(idle, {});
  check_slots(idle, plan);

  const record hot = record_of(3, 4, {{2, 1, 1.0}, {0, 1, 1.0}, {1, 1, 1.0}});
  plan.make(hot, {});
  check_slots(hot, plan);
  CHECK(plan.groups().size(1) == 3);

  const record twice = record_of(2, 2, {{1, 0, 0.25}, {1, 0, 0.5}, {0, 1, 1.0}});
  plan.make(twice, {});
  check_slots(twice, plan);
}

TEST_CASE("a plan refuses a token or an expert that does not exist, with the numbers", "[routing][plan]") {
  hg::dispatch_plan plan;
  const auto make = [&](const record& r) { return refusal([&] { plan.make(r, {}); }); };
  CHECK(make(record_of(3, 4, {{0, 0, 1.0}, {3, 1, 1.0}})) ==
        "dispatch_plan: assignment 1 names token 3, the batch has 3");
  CHECK(make(record_of(3, 4, {{-1, 0, 1.0}})) == "dispatch_plan: assignment 0 names token -1, the batch has 3");
  CHECK(make(record_of(3, 4, {{2, 4, 1.0}})) == "dispatch_plan: assignment 0 names expert 4, the layer has 4");
  CHECK(make(record_of(3, 4, {{2, -7, 1.0}})) == "dispatch_plan: assignment 0 names expert -7, the layer has 4");
  const record good = record_of(3, 4, {{2, 1, 1.0}});
  plan.make(good, {});  // a refusal leaves nothing behind
  check_slots(good, plan);
}

TEST_CASE("a plan refuses a weight that is not finite, with its place", "[routing][plan]") {
  hg::dispatch_plan plan;
  for (const double bad : {not_a_number<double>, infinity<double>, -infinity<double>})
    CHECK(refusal([&] {
            plan.make(record_of(3, 4, {{0, 0, 1.0}, {2, 1, bad}}), {});
          }) == hg::sentence("dispatch_plan: assignment 1 (token 2, expert 1) has the weight ", bad,
                             ", weights must be finite"));
}

TEST_CASE("capacity by position keeps the first assignments of each expert", "[routing][plan]") {
  const record r = record_of(5, 2, {{0, 0, 0.1}, {1, 0, 0.9}, {2, 1, 0.5}, {3, 0, 0.8}, {4, 0, 0.7}});
  hg::dispatch_plan plan;
  plan.make(r, {.factor = 0.8});  // ceil(0.8 * 5 / 2) = 2
  check_slots(r, plan);
  CHECK(plan.dropped() == 2);
  CHECK(plan.slot_of(0) == 0);
  CHECK(plan.slot_of(1) == 1);
  CHECK(plan.slot_of(3) == -1);
  CHECK(plan.slot_of(4) == -1);
  CHECK(slots_of(plan, 3).empty());
}

TEST_CASE("capacity by probability keeps the heaviest, the earlier of two equals, in the order of the batch",
          "[routing][plan]") {
  const record r = record_of(6, 2, {{0, 0, 0.1}, {1, 0, 0.5}, {2, 0, 0.9}, {3, 0, 0.5}, {4, 0, 0.5}, {5, 1, 0.0}});
  hg::dispatch_plan plan;
  plan.make(r, {.factor = 1, .drop = hg::drop::by_probability});  // 3 each
  check_slots(r, plan);
  CHECK(plan.dropped() == 2);
  const std::vector<hg::index> kept{plan.assignment_of(0), plan.assignment_of(1), plan.assignment_of(2),
                                    plan.assignment_of(3)};
  CHECK(kept == std::vector<hg::index>{1, 2, 3, 5});
}

namespace {

/// The running counts of Algorithm 1 of Lepikhin et al. (2020): choice after choice, token after token, as long as the
/// expert has room. Which assignments stay; a token's are k in a row.
std::vector<bool> kept_by_running_counts(const record& r, hg::index k, hg::index most) {
  std::vector<bool> kept(static_cast<std::size_t>(r.assignments.size()), false);
  std::vector<hg::index> taken(static_cast<std::size_t>(r.experts), 0);
  for (hg::index choice = 0; choice < k; ++choice)
    for (hg::index t = 0; t < r.tokens; ++t) {
      const hg::index a = t * k + choice;
      hg::index& count = taken[static_cast<std::size_t>(r.assignments[a].expert)];
      kept[static_cast<std::size_t>(a)] = count < most;
      ++count;
    }
  return kept;
}

}  // namespace

TEST_CASE("capacity by choice places first choices of all tokens before any second", "[routing][plan]") {
  const record r = record_of(3, 3, {{0, 0, 0.1}, {0, 1, 0.9}, {1, 1, 0.2}, {1, 0, 0.8}, {2, 1, 0.3}, {2, 0, 0.7}});
  hg::dispatch_plan plan;
  plan.make(r, {.drop = hg::drop::by_choice, .fixed = 2});
  check_slots(r, plan);
  std::vector<hg::index> kept;
  for (hg::index s = 0; s < plan.slots(); ++s) kept.push_back(plan.assignment_of(s));
  CHECK(kept == std::vector<hg::index>{0, 3, 2, 4});  // expert 1 drops token 0's second choice, expert 0 token 2's
  plan.make(r, {.fixed = 2});
  CHECK(plan.slot_of(1) == 2);
  CHECK(plan.slot_of(4) == -1);  // by position, a first choice is dropped for a second one
}

TEST_CASE("capacity by choice keeps what running counts keep, choice after choice", "[routing][plan]") {
  hg::dispatch_plan plan;
  for (const hg::index tokens : {1, 7, 40, 5000})
    for (const hg::index k : {1, 2, 3})
      for (const hg::index most : {1, 3, 20, 700}) {
        record r = random_record(tokens, 6, k, static_cast<std::uint64_t>(tokens + k));
        for (hg::index a = 0; a < r.assignments.size(); a += 2 * k) r.assignments[a].expert = 0;  // a busy expert
        if (k > 1)
          for (hg::index a = 0; a < r.assignments.size(); a += 2 * k) r.assignments[a + 1].expert = 1 + a % 5;
        const auto expected = kept_by_running_counts(r, k, most);
        plan.make(r, {.drop = hg::drop::by_choice, .fixed = most}, shuffled{3, 2});
        check_slots(r, plan);
        bool same = true;
        for (hg::index a = 0; a < r.assignments.size(); ++a)
          same = same && expected[static_cast<std::size_t>(a)] == (plan.slot_of(a) >= 0);
        CHECK(same);
      }
}

TEST_CASE("a choice is an assignment's place among its token's, wherever they stand", "[routing][plan]") {
  // Token 0's second choice stands first in the batch, but after its first.
  const record r = record_of(3, 2, {{0, 1, 1.0}, {0, 0, 1.0}, {2, 0, 1.0}, {1, 0, 1.0}, {1, 1, 1.0}});
  hg::dispatch_plan plan;
  plan.make(r, {.drop = hg::drop::by_choice, .fixed = 2});
  check_slots(r, plan);
  CHECK(plan.slot_of(1) == -1);
  CHECK(plan.slot_of(2) == 0);
  CHECK(plan.slot_of(3) == 1);
  plan.make(r, {.drop = hg::drop::by_choice, .fixed = 1});
  CHECK(plan.slot_of(2) == 0);  // equal choices: the first in the batch
  CHECK(plan.slot_of(3) == -1);
}

TEST_CASE("capacity by priority places the choices of sure tokens before those of others", "[routing][plan]") {
  // First choices of expert 1: tokens 1 (0.6) and 2 (0.8); its second choice: token 0. Expert 0: the other way round.
  const record r = record_of(3, 2, {{0, 0, 0.9}, {0, 1, 0.1}, {1, 1, 0.6}, {1, 0, 0.4}, {2, 1, 0.8}, {2, 0, 0.2}});
  hg::dispatch_plan plan;
  const auto kept = [&](hg::index most, const auto& executor) {
    plan.make(r, {.drop = hg::drop::by_priority, .fixed = most}, executor);
    check_slots(r, plan);
    std::vector<hg::index> assignments;
    for (hg::index s = 0; s < plan.slots(); ++s) assignments.push_back(plan.assignment_of(s));
    return assignments;
  };
  CHECK(kept(1, hg::run_sequentially) == std::vector<hg::index>{0, 4});
  CHECK(kept(2, hg::run_sequentially) == std::vector<hg::index>{0, 5, 2, 4});
  CHECK(kept(2, shuffled{3, 4}) == std::vector<hg::index>{0, 5, 2, 4});
  CHECK(kept(3, hg::run_sequentially).size() == 6);
}

TEST_CASE("what a plan drops does not depend on who makes it", "[routing][plan]") {
  const record r = random_record(9001, 7, 3, 4);
  const hg::thread_pool pool(3);
  for (const auto rule : {hg::drop::by_probability, hg::drop::by_choice, hg::drop::by_priority})
    check_makers(r, {.factor = 0.7, .drop = rule}, pool);
}

TEST_CASE("every capacity and rule gives a plan with at most that many rows an expert", "[routing][plan]") {
  hg::dispatch_plan plan;
  for (const double factor : {0.01, 0.5, 1.0, 1.25, 8.0, 1e300})
    for (const auto rule :
         {hg::drop::by_position, hg::drop::by_probability, hg::drop::by_choice, hg::drop::by_priority})
      for (const hg::index minimum : {1, 4}) {
        record r = random_record(40, 5, 2, 3);
        for (auto& a : r.assignments) a.weight = std::round(4 * a.weight) / 4;  // many ties
        shuffle(r, 11);
        const hg::capacity limit{.factor = factor, .minimum = minimum, .drop = rule};
        plan.make(r, limit);
        check_slots(r, plan);
        const auto load = r.load();
        for (hg::index e = 0; e < 5; ++e) CHECK(plan.groups().size(e) == (std::min)(load[e], limit.limit(80, 5)));
        if (rule == hg::drop::by_probability)
          for (hg::index a = 0; a < 80; ++a)
            for (hg::index b = 0; b < 80; ++b) {
              const auto& out = r.assignments[a];
              const auto& in = r.assignments[b];
              if (plan.slot_of(a) < 0 && plan.slot_of(b) >= 0 && in.expert == out.expert)
                CHECK_FALSE((out.weight > in.weight || (!(out.weight < in.weight) && a < b)));
            }
      }
}

TEST_CASE("a plan by choices of a record that does not tell them apart is refused, and the last plan stays",
          "[routing][plan]") {
  record r = random_record(40, 5, 2, 3);
  hg::dispatch_plan plan, before;
  for (hg::dispatch_plan* one : {&plan, &before}) one->make(r, {.factor = 1, .drop = hg::drop::by_choice});
  r.best_first = false;
  for (const auto rule : {hg::drop::by_choice, hg::drop::by_priority})
    CHECK_THAT(refusal([&] { plan.make(r, {.factor = 1, .drop = rule}); }),
               contains("the gate does not say that it lists a token's experts best first"));
  CHECK(same_plan(plan, before));
}
