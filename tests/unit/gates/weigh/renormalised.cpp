// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/weigh/renormalised.hpp>

#include "support/gate_checks.hpp"

#include <limits>

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
  CHECK(ds[0] == 0);
  CHECK(ds[1] == 0);
  const double tiny[] = {5e-324, 0};  // whose reciprocal is infinite
  hg::renormalised{}.forward(tiny, 2, w);
  hg::renormalised{}.backward(tiny, w, 2, dw, ds);
  CHECK(w[0] == 1);
  CHECK(ds[0] == 0);
}

TEST_CASE("the gradient of weights of the smallest scores is finite", "[gates][weigh][renormalised]") {
  constexpr float smallest = std::numeric_limits<float>::min(), most = std::numeric_limits<float>::max();
  const float s[] = {smallest, smallest}, dw[] = {100, -100};
  float w[2], ds[] = {0, 0};
  hg::renormalised{}.forward(s, 2, w);
  hg::renormalised{}.backward(s, w, 2, dw, ds);  // 100 / (2 smallest) is beyond float
  CHECK(ds[0] == most);
  CHECK(ds[1] == -most);
  ds[0] = 0;
  const float unit[] = {0.5, -0.5};
  hg::renormalised{}.backward(s, w, 2, unit, ds);
  CHECK(ds[0] == 0.5F / (2 * smallest));  // what float holds is as it was
  ds[0] = 0;
  hg::renormalised_at_least<float>{.epsilon = 1e-37F}.backward(s, w, 2, dw, ds);
  CHECK(ds[0] == most);
}

TEST_CASE("the gradient of renormalised weights agrees with differences", "[gates][weigh][renormalised]") {
  CHECK(check_weigh_gradients(hg::renormalised{}, random_matrix(1, 5, {1}).cwiseAbs()));
  CHECK(check_weigh_gradients(hg::renormalised{}, rows_of({{0.2, 0.5, 0.01}})));
}

TEST_CASE("renormalised_plus divides by the sum plus epsilon", "[gates][weigh][renormalised]") {
  const double s[] = {0.5, 0.25}, zeros[] = {0, 0}, dw[] = {1, -1};
  double w[2], ds[] = {0, 0};
  hg::renormalised_plus<double>{.epsilon = 0.25}.forward(s, 2, w);
  CHECK(w[0] == 0.5);
  CHECK(w[1] == 0.25);
  hg::renormalised_plus<double>{}.forward(zeros, 2, w);
  hg::renormalised_plus<double>{}.backward(zeros, w, 2, dw, ds);
  CHECK(w[0] == 0);
  CHECK(ds[0] == Approx(1e20));
  CHECK(hg::renormalised_plus<double>{}.epsilon == 1e-20);
}

TEST_CASE("renormalised_at_least divides by the sum, but not by less than epsilon", "[gates][weigh][renormalised]") {
  const double s[] = {0.5, 0.25}, small[] = {0.0625, 0.0625};
  double w[2];
  hg::renormalised_at_least<double>{.epsilon = 0.25}.forward(s, 2, w);
  CHECK(w[0] == 0.5 / 0.75);
  hg::renormalised_at_least<double>{.epsilon = 0.25}.forward(small, 2, w);
  CHECK(w[0] == 0.25);
  CHECK(hg::renormalised_at_least<float>{}.epsilon == std::numeric_limits<float>::epsilon());
}

TEST_CASE("an epsilon that is not positive is refused", "[gates][weigh][renormalised]") {
  CHECK_THROWS_WITH(hg::renormalised_plus<double>{.epsilon = 0}.check(no_shape),
                    "renormalised_plus: epsilon is 0, it must be greater than 0 and finite");
  CHECK_THROWS_WITH(hg::renormalised_at_least<double>{.epsilon = -1}.check(no_shape),
                    "renormalised_at_least: epsilon is -1, it must be greater than 0 and finite");
  CHECK_THROWS_WITH(hg::renormalised_at_least<double>{.epsilon = std::nan("")}.check(no_shape), contains("epsilon is"));
  CHECK_NOTHROW(hg::renormalised_plus<float>{}.check(no_shape));
}

TEST_CASE("the gradients of weights renormalised with an epsilon agree with differences",
          "[gates][weigh][renormalised]") {
  const auto s = rows_of({{0.2, 0.5, 0.01}});
  CHECK(check_weigh_gradients(hg::renormalised_plus<double>{}, s));
  CHECK(check_weigh_gradients(hg::renormalised_plus<double>{.epsilon = 0.3}, s));
  CHECK(check_weigh_gradients(hg::renormalised_at_least<double>{}, s));
  CHECK(check_weigh_gradients(hg::renormalised_at_least<double>{.epsilon = 2}, s));
}
