// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/reference/softmax.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace ref = headgate::reference;
using namespace headgate_test;

TEST_CASE("the plain softmax of logarithms is their numbers divided by the sum", "[reference][softmax]") {
  const double z[] = {std::log(2.0), 0, std::log(5.0)};
  double p[3];
  ref::softmax_row(z, p, 3);
  CHECK(p[0] == Approx(0.25));
  CHECK(p[1] == Approx(0.125));
  CHECK(p[2] == Approx(0.625));
}

TEST_CASE("the plain softmax goes row by row and leaves an empty row alone", "[reference][softmax]") {
  guarded<double> z(2, 2, 0, 3), p(2, 2, 1, 2), none(2, 0);
  z.fill([value = 0.0]() mutable { return value += std::log(3.0); });
  ref::softmax_rows(z.view(), p.view());
  for (hg::index r = 0; r < 2; ++r) {
    CHECK(p(r, 0) == Approx(0.25));
    CHECK(p(r, 1) == Approx(0.75));
  }
  ref::softmax_rows(none.view(), none.view());
  CHECK(p.guards_are_intact());
  CHECK(none.guards_are_intact());
}

TEST_CASE("the plain pull-back of softmax adds p_j (dp_j - mean)", "[reference][softmax]") {
  const double p[] = {0.5, 0.25, 0.25};
  const double dp[] = {1, 3, -1};  // mean: 0.5 + 0.75 - 0.25 = 1
  double dz[] = {10, 20, 30};
  ref::softmax_backward_row(p, dp, dz, 3);
  CHECK(dz[0] == 10);
  CHECK(dz[1] == 20.5);
  CHECK(dz[2] == 29.5);
  guarded<double> rows(1, 3);
  rows.fill([] { return 0.0; });
  ref::softmax_backward_rows(hg::view<const double>(p, 1, 3), hg::view<const double>(dp, 1, 3), rows.view());
  CHECK(rows(0, 1) == 0.5);
  CHECK(rows(0, 2) == -0.5);
}

TEST_CASE("the plain log_sum_exp_row neither overflows nor loses infinities", "[reference][softmax]") {
  const double large[] = {1000, 1000 + std::log(3.0)};
  CHECK(ref::log_sum_exp_row(large, 2) == Approx(1000 + std::log(4.0)));
  const double low[] = {-infinity<double>, -infinity<double>};
  CHECK(ref::log_sum_exp_row(low, 2) == -infinity<double>);
  CHECK(ref::log_sum_exp_row(low, 0) == -infinity<double>);
  const double high[] = {-infinity<double>, infinity<double>};
  CHECK(ref::log_sum_exp_row(high, 2) == infinity<double>);
}
