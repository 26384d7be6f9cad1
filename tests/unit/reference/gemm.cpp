// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/reference/gemm.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace ref = headgate::reference;
using namespace headgate_test;

namespace {

// x (2 x 2), w (3 x 2): x w' = (5 11 17; 11 25 39) as worked out by hand.
struct worked_example {
  double x_memory[4] = {1, 2, 3, 4};
  double w_memory[6] = {1, 2, 3, 4, 5, 6};
  hg::view<const double> x{x_memory, 2, 2};
  hg::view<const double> w{w_memory, 3, 2};
};

}  // namespace

TEST_CASE("the plain times_transposed is x w' plus a bias", "[reference][gemm]") {
  const worked_example e;
  guarded<double> y(2, 3, 1, 2);
  ref::times_transposed(e.x, nullptr, e.w, y.view());
  const double expected[2][3] = {{5, 11, 17}, {11, 25, 39}};
  for (hg::index r = 0; r < 2; ++r)
    for (hg::index c = 0; c < 3; ++c) CHECK(y(r, c) == expected[r][c]);
  const double bias[] = {100, 200, 300};
  const hg::index rows[] = {1, 1};
  ref::times_transposed(e.x, rows, e.w, y.view(), bias);
  for (hg::index r = 0; r < 2; ++r)
    for (hg::index c = 0; c < 3; ++c) CHECK(y(r, c) == expected[1][c] + bias[c]);
  CHECK(y.guards_are_intact());
}

TEST_CASE("the plain times is dy w, added on demand", "[reference][gemm]") {
  const worked_example e;
  const double dy_memory[] = {1, 0, 2, 0, -1, 1};
  const hg::view<const double> dy(dy_memory, 2, 3);
  guarded<double> dx(2, 2);
  ref::times(dy, e.w, dx.view(), false);
  CHECK(dx(0, 0) == 11);  // 1 + 2 * 5
  CHECK(dx(0, 1) == 14);
  CHECK(dx(1, 0) == 2);
  CHECK(dx(1, 1) == 2);
  ref::times(dy, e.w, dx.view(), true);
  CHECK(dx(0, 0) == 22);
  CHECK(dx(1, 1) == 4);
}

TEST_CASE("the plain add_transposed_times adds dy' x", "[reference][gemm]") {
  const worked_example e;
  const double dy_memory[] = {1, 0, 2, 0, -1, 1};
  const hg::view<const double> dy(dy_memory, 2, 3);
  guarded<double> dw(3, 2);
  dw.fill([] { return 100.0; });
  ref::add_transposed_times(dy, e.x, nullptr, dw.view());
  const double expected[3][2] = {{101, 102}, {97, 96}, {105, 108}};
  for (hg::index r = 0; r < 3; ++r)
    for (hg::index c = 0; c < 2; ++c) CHECK(dw(r, c) == expected[r][c]);
  const hg::index rows[] = {1, 0};
  dw.fill([] { return 0.0; });
  ref::add_transposed_times(dy, e.x, rows, dw.view());
  CHECK(dw(0, 0) == 3);
  CHECK(dw(1, 1) == -2);
}

TEST_CASE("plain products over an empty inner dimension are zero, or the bias", "[reference][gemm]") {
  guarded<double> x(2, 0), w(1, 0), y(2, 1);
  const double bias[] = {7};
  ref::times_transposed(x.view(), nullptr, w.view(), y.view());
  CHECK(y(1, 0) == 0);
  ref::times_transposed(x.view(), nullptr, w.view(), y.view(), bias);
  CHECK(y(1, 0) == 7);
}
