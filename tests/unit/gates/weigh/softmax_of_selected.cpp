// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/weigh/softmax_of_selected.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

static_assert(std::is_empty_v<hg::softmax_of_selected>);

TEST_CASE("softmax_of_selected is a softmax over the scores it is given", "[gates][weigh][softmax_of_selected]") {
  const double s[] = {1, 0.2, -0.7, 0}, golden[] = {.5000, .2247, .0913, .1839};
  double w[4];
  hg::softmax_of_selected{}.forward(s, 4, w);
  for (int i = 0; i < 4; ++i) CHECK(w[i] == Approx(golden[i]).margin(5.1e-5));
}

TEST_CASE("one expert has the weight one and no gradient", "[gates][weigh][softmax_of_selected]") {
  const double s[] = {-12.5}, dw[] = {3.3};
  double w[1], ds[] = {0};
  hg::softmax_of_selected{}.forward(s, 1, w);
  hg::softmax_of_selected{}.backward(s, w, 1, dw, ds);
  CHECK(w[0] == 1);
  CHECK(ds[0] == 0);
}

TEST_CASE("the gradient of softmax_of_selected agrees with differences", "[gates][weigh][softmax_of_selected]") {
  CHECK(check_weigh_gradients(hg::softmax_of_selected{}, random_matrix(1, 5, {1})));
  CHECK(check_weigh_gradients(hg::softmax_of_selected{}, random_matrix(1, 11, {2})));
}
