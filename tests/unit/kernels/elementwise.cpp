// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/elementwise.hpp>
#include <headgate/reference/elementwise.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

namespace {

/// x^2 + 3 and its derivative: whole numbers stay exact, and padding does not stay zero.
struct parabola {
  template <class V>
  V value(const V& x) const {
    return xsimd::fma(x, x, V(3));
  }
  template <class V>
  V derivative(const V& x) const {
    return x + x;
  }
};

template <class T>
T whole_number(numbers& next) {
  return static_cast<T>(next.below(40) - 20);
}

/// Calls check(rows, cols, offset) for all lengths and alignments, zero rows and columns included.
template <class T, class Check>
void for_each_shape(Check check) {
  for (hg::index cols = 0; cols <= longest_row<T>; ++cols)
    for (hg::index offset = 0; offset < width<T>; ++offset) check(offset % 4, cols, offset);
}

}  // namespace

TEMPLATE_TEST_CASE("activate and its backward are exact on whole numbers for every shape", "[kernels][elementwise]",
                   float, double) {
  numbers next(1);
  for_each_shape<TestType>([&](hg::index rows, hg::index cols, hg::index offset) {
    guarded<TestType> x(rows, cols, offset, 1), dy(rows, cols, 0, 2), y(rows, cols, 1, 3), dx(rows, cols, offset, 0);
    x.fill([&] { return whole_number<TestType>(next); });
    dy.fill([&] { return whole_number<TestType>(next); });
    k::activate(x.view(), y.view(), parabola{});
    k::activate_backward(x.view(), dy.view(), dx.view(), parabola{});
    bool right = true;
    for (hg::index r = 0; r < rows; ++r)
      for (hg::index c = 0; c < cols; ++c) {
        right = right && y(r, c) == x(r, c) * x(r, c) + 3;
        right = right && dx(r, c) == dy(r, c) * 2 * x(r, c);
      }
    REQUIRE(right);
    REQUIRE(y.guards_are_intact());
    REQUIRE(dx.guards_are_intact());
  });
}

TEMPLATE_TEST_CASE("glu and its backward are exact on whole numbers for every shape", "[kernels][elementwise]", float,
                   double) {
  numbers next(2);
  for_each_shape<TestType>([&](hg::index rows, hg::index cols, hg::index offset) {
    guarded<TestType> u(rows, cols, offset, 1), v(rows, cols, 0, 2), h(rows, cols, 1, 3);
    guarded<TestType> dh(rows, cols, 2, 1), du(rows, cols, offset, 2), dv(rows, cols, 3, 0);
    u.fill([&] { return whole_number<TestType>(next); });
    v.fill([&] { return whole_number<TestType>(next); });
    dh.fill([&] { return whole_number<TestType>(next); });
    k::glu(u.view(), v.view(), h.view(), parabola{});
    k::glu_backward(u.view(), v.view(), dh.view(), du.view(), dv.view(), parabola{});
    bool right = true;
    for (hg::index r = 0; r < rows; ++r)
      for (hg::index c = 0; c < cols; ++c) {
        const TestType value = u(r, c) * u(r, c) + 3;
        right = right && h(r, c) == value * v(r, c);
        right = right && du(r, c) == dh(r, c) * v(r, c) * 2 * u(r, c);
        right = right && dv(r, c) == dh(r, c) * value;
      }
    REQUIRE(right);
    REQUIRE(h.guards_are_intact());
    REQUIRE(du.guards_are_intact());
    REQUIRE(dv.guards_are_intact());
  });
}

TEMPLATE_TEST_CASE("elementwise kernels agree with the plain loops on denormals, infinities and NaN",
                   "[kernels][elementwise]", float, double) {
  numbers next(3);
  for (hg::index cols = 0; cols <= longest_row<TestType>; ++cols) {
    guarded<TestType> u(5, cols, 1, 1), v(5, cols), dh(5, cols), a(5, cols), b(5, cols), c(5, cols), d(5, cols);
    for (auto* m : {&u, &v, &dh}) m->fill([&] { return next.template awkward<TestType>(); });
    k::activate(u.view(), a.view(), parabola{});
    hg::reference::activate(u.view(), b.view(), parabola{});
    CHECK(ulps(a.view(), b.view()) <= 1);
    k::activate_backward(u.view(), dh.view(), a.view(), parabola{});
    hg::reference::activate_backward(u.view(), dh.view(), b.view(), parabola{});
    CHECK(same_bits(a.view(), b.view()));
    k::glu(u.view(), v.view(), a.view(), parabola{});
    hg::reference::glu(u.view(), v.view(), b.view(), parabola{});
    CHECK(ulps(a.view(), b.view()) <= 2);
    k::glu_backward(u.view(), v.view(), dh.view(), a.view(), b.view(), parabola{});
    hg::reference::glu_backward(u.view(), v.view(), dh.view(), c.view(), d.view(), parabola{});
    CHECK(same_bits(a.view(), c.view()));
    CHECK(ulps(b.view(), d.view()) <= 2);
  }
}

TEMPLATE_TEST_CASE("elementwise kernels may write over their inputs", "[kernels][elementwise]", float, double) {
  numbers next(4);
  for (hg::index cols = 0; cols <= longest_row<TestType>; ++cols) {
    guarded<TestType> u(2, cols, 1), v(2, cols), dh(2, cols), h(2, cols), du(2, cols), dv(2, cols), x(2, cols);
    for (auto* m : {&u, &v, &dh}) m->fill([&] { return next.within(TestType{2}); });
    k::glu(u.view(), v.view(), h.view(), parabola{});
    k::glu_backward(u.view(), v.view(), dh.view(), du.view(), dv.view(), parabola{});
    x.copy(u.view());
    k::glu(x.view(), v.view(), x.view(), parabola{});
    REQUIRE(same_bits(x.view(), h.view()));
    x.copy(v.view());
    k::glu_backward(u.view(), x.view(), dh.view(), u.view(), x.view(), parabola{});
    REQUIRE(same_bits(u.view(), du.view()));
    REQUIRE(same_bits(x.view(), dv.view()));
  }
}

TEMPLATE_TEST_CASE("a row's activation has the same bits alone, in any batch and place, at any alignment",
                   "[kernels][elementwise]", float, double) {
  struct exponential {
    auto value(const xsimd::batch<TestType>& x) const { return xsimd::exp(x); }
  };
  numbers next(5);
  for (hg::index n = 0; n <= longest_row<TestType>; ++n) {
    guarded<TestType> x(1, n), alone(1, n);
    x.fill([&] { return next.within(TestType{6}); });
    k::activate(x.view(), alone.view(), exponential{});
    for (hg::index offset = 0; offset < width<TestType>; ++offset) {
      const hg::index rows = 1 + next.below(5);
      const hg::index place = next.below(rows);
      guarded<TestType> batch(rows, n, offset, next.below(4)), out(rows, n, width<TestType> - offset, next.below(4));
      batch.fill([&] { return next.template awkward<TestType>(); });
      std::copy_n(x.row(), n, batch.row(place));
      k::activate(batch.view(), out.view(), exponential{});
      REQUIRE(same_bits(out.view().middle_rows(place, 1), alone.view()));
    }
  }
}

TEMPLATE_TEST_CASE("scale_row and axpy_row round once for each operation", "[kernels][elementwise]", float, double) {
  numbers next(6);
  for (hg::index n = 0; n <= longest_row<TestType>; ++n)
    for (hg::index offset = 0; offset < width<TestType>; ++offset) {
      guarded<TestType> x(1, n, offset), y(1, n, 1), scaled(1, n, 2), sum(1, n, 3), plain(1, n);
      x.fill([&] { return next.within(TestType{1}); });
      y.fill([&] { return next.within(TestType{1}); });
      sum.copy(y.view());
      plain.copy(y.view());
      const TestType a = next.within(TestType{1});
      k::scale_row(a, x.row(), scaled.row(), n);
      k::axpy_row(a, x.row(), sum.row(), n);
      hg::reference::axpy_row(a, x.row(), plain.row(), n);
      bool right = true;
      for (hg::index i = 0; i < n; ++i) {
        const volatile TestType product = a * x(0, i);  // volatile: not to be fused with the sum
        right = right && same_bits(scaled(0, i), TestType{product});
        right =
            right && (same_bits(sum(0, i), std::fma(a, x(0, i), y(0, i))) || same_bits(sum(0, i), product + y(0, i)));
        right = right && std::abs(sum(0, i) - plain(0, i)) <= epsilon<TestType>;
      }
      REQUIRE(right);
      REQUIRE(scaled.guards_are_intact());
      REQUIRE(sum.guards_are_intact());
    }
}
