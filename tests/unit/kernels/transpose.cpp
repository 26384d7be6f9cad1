// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/transpose.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

TEMPLATE_TEST_CASE("transpose turns blocks of every size over, at any alignment and distance of rows",
                   "[kernels][transpose]", float, double) {
  using T = TestType;
  numbers next(1);
  for (hg::index cols = 0; cols <= 26; ++cols)
    for (hg::index steps = 0; steps <= 26; ++steps) {
      const hg::index offset = next.below(4);
      guarded<T> from(cols, steps, offset, next.below(3)), to(steps, cols, next.below(4), next.below(3));
      from.fill([&] { return next.awkward<T>(); });
      k::transpose(static_cast<const T*>(from.row()), from.view().stride, cols, steps, to.row(), to.view().stride);
      bool right = to.guards_are_intact();
      for (hg::index j = 0; j < cols; ++j)
        for (hg::index l = 0; l < steps; ++l) right = right && same_bits(to(l, j), from(j, l));
      CAPTURE(cols, steps);
      CHECK(right);
    }
}
