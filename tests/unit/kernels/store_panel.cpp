// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/store_panel.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

TEMPLATE_TEST_CASE("a panel is stored as far as its row reaches, and not one element beyond or before",
                   "[kernels][store_panel]", float, double) {
  using T = TestType;
  using batch = xsimd::batch<T>;
  constexpr auto lanes = static_cast<hg::index>(batch::size);
  T values[2 * batch::size];
  for (hg::index i = 0; i < 2 * lanes; ++i) values[i] = static_cast<T>(i + 1);
  const batch low = batch::load_unaligned(values), high = batch::load_unaligned(values + lanes);

  for (const hg::index col : {hg::index{0}, lanes, 2 * lanes, 3 * lanes})
    for (hg::index cols = col; cols <= col + 2 * lanes + 1; ++cols) {
      CAPTURE(col, cols);
      guarded<T> row(1, cols, 1, 3), one(1, cols, 1, 3);
      row.fill([] { return T{-1}; });
      one.fill([] { return T{-1}; });
      k::store_panel(row.row(), col, cols, low, high);
      k::store_lanes(one.row(), col, cols, low);
      bool right = row.guards_are_intact() && one.guards_are_intact();
      for (hg::index i = 0; i < cols; ++i) {
        const hg::index at = i - col;
        right = right && row(0, i) == (at >= 0 && at < 2 * lanes ? values[at] : T{-1});
        right = right && one(0, i) == (at >= 0 && at < lanes ? values[at] : T{-1});
      }
      CHECK(right);
    }
}
