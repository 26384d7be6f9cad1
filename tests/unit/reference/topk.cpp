// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/reference/topk.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace ref = headgate::reference;
using namespace headgate_test;

TEST_CASE("the plain topk_row gives the largest first and ties to the lower index", "[reference][topk]") {
  const float s[] = {1, 5, 3, 5, -2, 3};
  hg::index ids[6];
  ref::topk_row(s, 6, 6, ids);
  CHECK(std::vector<hg::index>(ids, ids + 6) == std::vector<hg::index>{1, 3, 2, 5, 0, 4});
}

TEST_CASE("the plain topk_row ranks NaN below minus infinity", "[reference][topk]") {
  const float bad = not_a_number<float>;
  const float s[] = {bad, -infinity<float>, bad, 0};
  hg::index ids[4];
  ref::topk_row(s, 4, 4, ids);
  CHECK(std::vector<hg::index>(ids, ids + 4) == std::vector<hg::index>{3, 1, 0, 2});
}

TEST_CASE("the plain topk_rows writes k ids for each row", "[reference][topk]") {
  guarded<float> s(2, 3, 0, 4);
  const float values[2][3] = {{1, 2, 3}, {3, 2, 1}};
  for (hg::index r = 0; r < 2; ++r) std::copy_n(values[r], 3, s.row(r));
  std::vector<hg::index> ids(5, -7);
  ref::topk_rows(s.view(), 2, ids.data());
  CHECK(ids == std::vector<hg::index>{2, 1, 0, 1, -7});
}
