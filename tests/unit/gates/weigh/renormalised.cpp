// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/weigh/renormalised.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

static_assert(std::is_empty_v<hg::renormalised>);

TEST_CASE("renormalised weights are the scores over their sum", "[gates][weigh][renormalised]") {
  const double s[] = {0.4, 0.1, 0.3};
  double w[3];
  hg::renormalised{}.forward(s, 3, w);
  CHECK(w[0] == Approx(0.5));
  CHECK(w[1] == Approx(0.125));
  CHECK(w[2] == Approx(0.375));
}

TEST_CASE("one expert has the renormalised weight one and no gradient", "[gates][weigh][renormalised]") {
  const double s[] = {0.037}, dw[] = {3.3};
  double w[1], ds[] = {0};
  hg::renormalised{}.forward(s, 1, w);
  hg::renormalised{}.backward(s, w, 1, dw, ds);
  CHECK(w[0] == 1);
  CHECK(ds[0] == 0);
}

TEST_CASE("scores that sum to zero leave the weights at zero", "[gates][weigh][renormalised]") {
  const double s[] = {0, 0}, dw[] = {1, -1};
  double w[2], ds[] = {0, 0};
  hg::renormalised{}.forward(s, 2, w);
  hg::renormalised{}.backward(s, w, 2, dw, ds);
  CHECK(w[0] == 0);
  CHECK(w[1] == 0);
  CHECK(std::isfinite(ds[0]));
}

TEST_CASE("the gradient of renormalised weights agrees with differences", "[gates][weigh][renormalised]") {
  CHECK(check_weigh_gradients(hg::renormalised{}, random_matrix(1, 5, {1}).cwiseAbs()));
  CHECK(check_weigh_gradients(hg::renormalised{}, rows_of({{0.2, 0.5, 0.01}})));
}
