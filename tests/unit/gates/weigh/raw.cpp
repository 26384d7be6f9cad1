// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/weigh/raw.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

static_assert(std::is_empty_v<hg::raw>);

TEST_CASE("raw weights are the scores", "[gates][weigh][raw]") {
  const double s[] = {0.4, -1, 2};
  double w[3];
  hg::raw{}.forward(s, 3, w);
  CHECK(std::vector<double>(w, w + 3) == std::vector<double>{0.4, -1, 2});
}

TEST_CASE("the gradient of raw weights agrees with differences", "[gates][weigh][raw]") {
  CHECK(check_weigh_gradients(hg::raw{}, random_matrix(1, 5, {1})));
}
