// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/weigh/sigmoid_of_selected.hpp>

#include "support/gate_checks.hpp"

#include <limits>

namespace hg = headgate;
using namespace headgate_test;

static_assert(std::is_empty_v<hg::sigmoid_of_selected>);

TEST_CASE("sigmoid_of_selected is the sigmoid of each score", "[gates][weigh][sigmoid_of_selected]") {
  const double s[] = {1, 0, -2, 1e4, -1e4, -std::numeric_limits<double>::infinity()};
  double w[6];
  hg::sigmoid_of_selected{}.forward(s, 6, w);
  CHECK(w[0] == Approx(1 / (1 + std::exp(-1))).epsilon(1e-14));
  CHECK(w[1] == 0.5);
  CHECK(w[2] == Approx(1 / (1 + std::exp(2))).epsilon(1e-14));
  CHECK(w[3] == 1);
  CHECK(w[4] >= 0);
  CHECK(w[4] < 1e-300);
  CHECK(w[5] < 1e-300);
}

TEST_CASE("the gradient of sigmoid_of_selected agrees with differences", "[gates][weigh][sigmoid_of_selected]") {
  CHECK(check_weigh_gradients(hg::sigmoid_of_selected{}, random_matrix(1, 5, {1})));
}
