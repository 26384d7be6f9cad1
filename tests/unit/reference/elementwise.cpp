// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/reference/elementwise.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace ref = headgate::reference;
using namespace headgate_test;

namespace {

struct cube {
  double value(double x) const { return x * x * x; }
  double derivative(double x) const { return 3 * x * x; }
};

}  // namespace

TEST_CASE("the plain activations are the formula applied to each element", "[reference][elementwise]") {
  guarded<double> x(1, 2), dy(1, 2), y(1, 2), dx(1, 2);
  x(0, 0) = 2, x(0, 1) = -3;
  dy(0, 0) = 10, dy(0, 1) = -1;
  ref::activate(x.view(), y.view(), cube{});
  ref::activate_backward(x.view(), dy.view(), dx.view(), cube{});
  CHECK(y(0, 0) == 8);
  CHECK(y(0, 1) == -27);
  CHECK(dx(0, 0) == 120);
  CHECK(dx(0, 1) == -27);
}

TEST_CASE("the plain glu and its backward are the product rule, also over their inputs", "[reference][elementwise]") {
  guarded<double> u(1, 1), v(1, 1), h(1, 1), dh(1, 1);
  u(0, 0) = 2, v(0, 0) = 5, dh(0, 0) = -1;
  ref::glu(u.view(), v.view(), h.view(), cube{});
  CHECK(h(0, 0) == 40);
  ref::glu_backward(u.view(), v.view(), dh.view(), u.view(), v.view(), cube{});
  CHECK(u(0, 0) == -60);
  CHECK(v(0, 0) == -8);
}

TEST_CASE("the plain row updates scale and add", "[reference][elementwise]") {
  const double x[] = {1, -2};
  double y[] = {10, 10};
  ref::axpy_row(3, x, y, 2);
  CHECK(y[0] == 13);
  CHECK(y[1] == 4);
  ref::scale_row(-1, x, y, 2);
  CHECK(y[0] == -1);
  CHECK(y[1] == 2);
}
