// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/weigh/norm_divided.hpp>

#include <headgate/gates/weigh/renormalised.hpp>

#include "support/gate_checks.hpp"

#include <limits>

namespace hg = headgate;
using namespace headgate_test;

namespace {
constexpr double infinity = std::numeric_limits<double>::infinity();
using weights = std::vector<double>;

weights weighed(double p, const weights& s) {
  weights w(s.size());
  hg::norm_divided<double>{p}.forward(s.data(), static_cast<hg::index>(s.size()), w.data());
  return w;
}
weights gradient(double p, const weights& s, const weights& dw) {
  const weights w = weighed(p, s);
  weights ds(s.size());
  hg::norm_divided<double>{p}.backward(s.data(), w.data(), static_cast<hg::index>(s.size()), dw.data(), ds.data());
  return ds;
}
}  // namespace

TEST_CASE("norm_divided weights are the scores over their norm", "[gates][weigh][norm_divided]") {
  CHECK(weighed(1, {0.25, 0.5, -0.25}) == weights{0.25, 0.5, -0.25});
  CHECK(weighed(1, {1, 3}) == weights{0.25, 0.75});
  CHECK(weighed(2, {3, 4})[0] == Approx(0.6).epsilon(1e-15));
  CHECK(weighed(infinity, {1, -4, 2}) == weights{0.25, -1, 0.5});
  CHECK(weighed(3, {1, 2})[1] == Approx(2 / std::cbrt(9)).epsilon(1e-15));
  CHECK(weighed(2, {3e200, 4e200})[1] == Approx(0.8).epsilon(1e-15));
  CHECK(weighed(2, {3e-200, 4e-200})[1] == Approx(0.8).epsilon(1e-15));
}

TEST_CASE("a norm of zero leaves the weights at zero, without a gradient", "[gates][weigh][norm_divided]") {
  for (const double p : {1.0, 2.0, 2.5, infinity}) {
    CHECK(weighed(p, {0, 0}) == weights{0, 0});
    CHECK(gradient(p, {0, 0}, {1, -3}) == weights{0, 0});
  }
}

TEST_CASE("the gradient of norm_divided weights of the smallest scores is finite", "[gates][weigh][norm_divided]") {
  constexpr float smallest = std::numeric_limits<float>::min();
  const float s[] = {smallest, smallest}, w[] = {0.5F, 0.5F}, dw[] = {100, -100};
  float ds[] = {0, 0};
  hg::norm_divided<float>{}.backward(s, w, 2, dw, ds);
  CHECK(ds[0] == std::numeric_limits<float>::max());
  CHECK(ds[1] == -std::numeric_limits<float>::max());
}

TEST_CASE("the gradient of norm_divided weights agrees with differences", "[gates][weigh][norm_divided]") {
  for (const double p : {1.0, 1.5, 2.0, 3.0, 8.0, infinity}) {
    CHECK(check_weigh_gradients(hg::norm_divided<double>{p}, random_matrix(1, 5, {1})));
    CHECK(check_weigh_gradients(hg::norm_divided<double>{p}, rows_of({{0.2, 0.5, 0.01}})));
  }
}

TEST_CASE("where the norm has a corner its gradient is one from between the two sides",
          "[gates][weigh][norm_divided]") {
  CHECK(gradient(1, {1, 0}, {0, 1}) == weights{0, 1});  // as if |s| were 0 there and had no slope
  CHECK(gradient(infinity, {2, 2}, {1, 0}) == weights{0.25, -0.25});
  CHECK(gradient(infinity, {2, -2}, {1, 0}) == weights{0.25, 0.25});
}

TEST_CASE("for positive scores and p = 1 norm_divided is renormalised", "[gates][weigh][norm_divided]") {
  const weights s = {0.3, 0.01, 0.2};
  weights w(3);
  hg::renormalised{}.forward(s.data(), 3, w.data());
  CHECK(weighed(1, s) == w);
}

TEST_CASE("norm_divided refuses p below one", "[gates][weigh][norm_divided]") {
  CHECK_THROWS_WITH(hg::norm_divided<double>{0.5}.check(no_shape), "norm_divided: p is 0.5, it must be at least 1");
  CHECK_THROWS_WITH(hg::norm_divided<double>{std::nan("")}.check(no_shape), contains("it must be at least 1"));
  CHECK_NOTHROW(hg::norm_divided<double>{infinity}.check(no_shape));
}
