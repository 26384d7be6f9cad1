// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/weighing.hpp>

#include <headgate/gates/weigh/renormalised.hpp>
#include <headgate/gates/weigh/wrappers.hpp>

#include "support/gate_checks.hpp"

#include <algorithm>
#include <limits>

namespace hg = headgate;
using namespace headgate_test;

namespace {

constexpr double off = -std::numeric_limits<double>::infinity();

/// A record of one token, its logits and scores.
hg::routing<double> one_token(const std::vector<double>& z, const std::vector<double>& s) {
  const auto experts = static_cast<hg::index>(z.size());
  hg::routing<double> r;
  r.reset(1, experts);
  std::copy(z.begin(), z.end(), r.logits.resize(1, experts).data);
  std::copy(s.begin(), s.end(), r.scores.resize(1, experts).data);
  return r;
}

}  // namespace

TEST_CASE("weigh_row weighs the named experts that are on, in the order of their names", "[gates][weighing]") {
  auto r = one_token({0, off, 0, 0}, {0.5, 0.25, 0.125, 0.125});
  hg::detail::row_memory<double> memory;
  memory.reset(4, 0);
  CHECK(memory.first_bad_logit(r.logits.block()) == -1);
  const hg::index ids[] = {3, 1, 2};
  r.assignments.resize_for_overwrite(3);
  hg::detail::weigh_row(hg::renormalised{}, r, 0, ids, 3, memory, r.assignments.data());
  for (hg::index i = 0; i < 3; ++i) {
    CHECK(r.assignments[i].token == 0);
    CHECK(r.assignments[i].expert == ids[i]);
    CHECK(r.assignments[i].weight == (i == 1 ? 0 : 0.5));
  }
  hg::array<hg::index> first(2);
  first[1] = 3;
  hg::detail::drop_those_off(r, first);
  CHECK(experts_of_token(r, 0) == std::vector<hg::index>{3, 2});
  CHECK((first[0] == 0 && first[1] == 2));
  r.assignments.resize_for_overwrite(3);
  memory.some_are_off = false;  // nobody looks then
  hg::detail::weigh_row(hg::renormalised{}, r, 0, ids, 3, memory, r.assignments.data());
  CHECK(r.assignments[1].weight == 0.5);
}

TEST_CASE("drop_those_off keeps the order of the others and their tokens apart", "[gates][weighing]") {
  hg::routing<double> r;
  r.reset(4, 3);
  const auto z = rows_of({{off, 0, 1}, {off, off, off}, {0, 1, 2}, {0, off, off}});
  std::copy_n(z.data(), z.size(), r.logits.resize(4, 3).data);
  hg::array<hg::index> first(5);
  for (hg::index t = 0; t < 4; ++t) {
    for (const hg::index e : {2, 0, 1})
      if (t != 2 || e != 0) r.assignments.push_back({t, e, static_cast<double>(10 * t + e)});
    first[t + 1] = r.assignments.size();
  }
  hg::detail::drop_those_off(r, first);
  CHECK(std::vector<hg::index>(first.begin(), first.end()) == std::vector<hg::index>{0, 2, 2, 4, 5});
  CHECK(experts_of_token(r, 0) == std::vector<hg::index>{2, 1});
  CHECK(experts_of_token(r, 2) == std::vector<hg::index>{2, 1});
  CHECK(experts_of_token(r, 3) == std::vector<hg::index>{0});
  for (const auto& a : r.assignments) CHECK(a.weight == static_cast<double>(10 * a.token + a.expert));
}

TEST_CASE("weigh_backward adds to the gradient of a token's own experts, however many", "[gates][weighing]") {
  auto r = one_token({0, 0, 0, 0}, {0.5, 0.25, 0.125, 0.125});
  r.assignments.push_back({0, 3, 0.5 * 2});
  r.assignments.push_back({0, 2, 0.5 * 2});
  hg::routing_gradient<double> d;
  d.reset(r);
  d.weights(0, 0) = 1;
  d.weights(1, 0) = -1;
  d.scores(0, 0) = d.scores(0, 1) = d.scores(0, 2) = 7;
  hg::detail::row_memory<double> memory;
  memory.reset(4, 0);
  const hg::index first[] = {0, 2};
  const hg::scaled<double, hg::renormalised> weigh{.factor = 2};
  hg::detail::weigh_backward(weigh, r, first, memory, d);
  CHECK(d.scores(0, 0) == 7);
  CHECK(d.scores(0, 1) == 7);
  CHECK(d.scores(0, 2) == 7 - 2 / 0.25);
  CHECK(d.scores(0, 3) == 2 / 0.25);
  CHECK(d.weights(0, 0) == 1);  // the record's own gradient is not overwritten
}
