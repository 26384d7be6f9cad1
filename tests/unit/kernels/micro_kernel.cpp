// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/micro_kernel.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

namespace {

/// One call on `rows` rows of a (row r starts at a.row(r)), each with its own start value.
template <class T>
void run(guarded<T>& a, hg::index a_stride, hg::index depth, guarded<T>& panel, guarded<T>& c, hg::index cols,
         k::start_from start, const T* bias) {
  const T* a_rows[k::tile_rows] = {};
  T* c_rows[k::tile_rows] = {};
  const hg::index rows = c.view().rows;
  for (hg::index r = 0; r < rows; ++r) {
    a_rows[r] = a.row(r);
    c_rows[r] = c.row(r);
  }
  k::micro_kernel_for<xsimd::default_arch, T>(rows, depth, static_cast<const T* const*>(a_rows), a_stride,
                                              static_cast<const T*>(panel.row()), static_cast<T* const*>(c_rows), cols,
                                              start, bias);
}

}  // namespace

TEMPLATE_TEST_CASE("micro_kernel is exact on whole numbers for every number of rows and columns",
                   "[kernels][micro_kernel]", float, double) {
  using T = TestType;
  constexpr hg::index width = k::panel_width<xsimd::default_arch, T>;
  numbers next(1);
  const auto whole = [&] { return static_cast<T>(next.below(40) - 20); };
  for (hg::index rows = 1; rows <= k::tile_rows; ++rows)
    for (hg::index cols = 1; cols <= width; ++cols)
      for (const hg::index depth : {0, 1, 9})
        for (const hg::index stride : {1, 3})
          for (const auto start : {k::start_from::zero, k::start_from::bias, k::start_from::c}) {
            guarded<T> a(rows, 27, 1, 1), panel(1, 9 * width, 1), c(rows, cols, 1, 4), bias(1, cols, 3),
                expected(rows, cols);
            a.fill(whole), panel.fill(whole), c.fill(whole), bias.fill(whole);
            for (hg::index r = 0; r < rows; ++r)
              for (hg::index j = 0; j < cols; ++j) {
                T sum = start == k::start_from::c ? c(r, j) : start == k::start_from::bias ? bias(0, j) : T{0};
                for (hg::index l = 0; l < depth; ++l) sum += a(r, l * stride) * panel(0, l * width + j);
                expected(r, j) = sum;
              }
            run(a, stride, depth, panel, c, cols, start, static_cast<const T*>(bias.row()));
            CAPTURE(rows, cols, depth, stride, static_cast<int>(start));
            CHECK((same_bits(c.view(), expected.view()) && c.guards_are_intact()));
          }
}

TEMPLATE_TEST_CASE("an element of micro_kernel does not depend on the other rows", "[kernels][micro_kernel]", float,
                   double) {
  using T = TestType;
  constexpr hg::index width = k::panel_width<xsimd::default_arch, T>;
  numbers next(2);
  guarded<T> a(k::tile_rows, 100), panel(1, 100 * width), all(k::tile_rows, width);
  a.fill([&] { return next.within(T{1}); });
  panel.fill([&] { return next.within(T{1}); });
  run(a, 1, 100, panel, all, width, k::start_from::zero, static_cast<const T*>(nullptr));
  for (hg::index rows = 1; rows <= k::tile_rows; ++rows) {
    guarded<T> c(rows, width);
    run(a, 1, 100, panel, c, width, k::start_from::zero, static_cast<const T*>(nullptr));
    CHECK(same_bits(c.view(), all.view().middle_rows(0, rows)));
  }
  // Not by chance: NaN and infinity of one row stay in that row.
  a(1, 50) = not_a_number<T>;
  a(2, 50) = infinity<T>;
  guarded<T> c(k::tile_rows, width);
  run(a, 1, 100, panel, c, width, k::start_from::zero, static_cast<const T*>(nullptr));
  for (const hg::index r : {0, 3, 4, 5}) CHECK(same_bits(c.view().middle_rows(r, 1), all.view().middle_rows(r, 1)));
  CHECK(std::isnan(c(1, 0)));
  CHECK(!std::isfinite(c(2, 0)));
}

TEMPLATE_TEST_CASE("sums cut in two at any depth keep their bits", "[kernels][micro_kernel]", float, double) {
  using T = TestType;
  constexpr hg::index width = k::panel_width<xsimd::default_arch, T>;
  numbers next(3);
  guarded<T> a(3, 40), panel(1, 40 * width), whole(3, width - 1);
  a.fill([&] { return next.within(T{1}); });
  panel.fill([&] { return next.within(T{1}); });
  run(a, 1, 40, panel, whole, width - 1, k::start_from::zero, static_cast<const T*>(nullptr));
  for (hg::index cut = 0; cut <= 40; ++cut) {
    guarded<T> c(3, width - 1), second_a(3, 40), second_panel(1, 40 * width);
    for (hg::index r = 0; r < 3; ++r) std::copy_n(a.row(r) + cut, 40 - cut, second_a.row(r));
    std::copy_n(panel.row() + cut * width, (40 - cut) * width, second_panel.row());
    run(a, 1, cut, panel, c, width - 1, k::start_from::zero, static_cast<const T*>(nullptr));
    run(second_a, 1, 40 - cut, second_panel, c, width - 1, k::start_from::c, static_cast<const T*>(nullptr));
    CHECK(same_bits(c.view(), whole.view()));
  }
}
