// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/row_steps.hpp>

#include <headgate/gates/weigh/renormalised.hpp>

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

TEST_CASE("weights go to the assignments of a token, and their gradient back to its scores", "[gates][row_steps]") {
  hg::detail::row_memory<double> memory;
  memory.reset(3, 0);
  hg::routing<double> r;
  r.reset(2, 3);
  const double s[] = {1, 2, 3, 4, 5, 6};
  std::copy_n(s, 6, r.scores.resize(2, 3).data);
  const hg::index ids[] = {2, 0};
  r.assignments.resize(2);
  hg::detail::weigh_row(hg::renormalised{}, static_cast<const double*>(r.scores.row(1)), ids, 2, memory, 1,
                        r.assignments.data());
  CHECK((r.assignments[0].token == 1 && r.assignments[0].expert == 2 && r.assignments[0].weight == 0.6));
  CHECK((r.assignments[1].token == 1 && r.assignments[1].expert == 0 && r.assignments[1].weight == 0.4));

  hg::array<hg::index> first(3);
  first[2] = 2;
  hg::routing_gradient<double> d;
  d.reset(r);
  d.weights(0, 0) = 1;
  hg::detail::weigh_backward(hg::renormalised{}, r, first, memory, d);
  CHECK(hg::map_of(d.scores.block()).isApprox(rows_of({{0, 0, 0}, {-0.06, 0, 0.04}})));
}
