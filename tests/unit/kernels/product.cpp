// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/product.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

namespace {

/// B(l, j) as the comment of `product` defines it.
template <class T>
T element(const k::product<T>& p, hg::index l, hg::index j) {
  return p.b[(p.b_rows ? p.b_rows[l] : l) * p.b_depth_stride + j * p.b_col_stride];
}

}  // namespace

TEMPLATE_TEST_CASE("pack_panel lays out a panel depth by depth and pads with zeros", "[kernels][product]", float,
                   double) {
  using T = TestType;
  constexpr hg::index width = k::panel_width<xsimd::default_arch, T>;
  numbers next(1);
  const std::vector<hg::index> list{3, 3, 0, 5, 1};
  for (hg::index cols = 1; cols <= 2 * width + 1; ++cols) {
    guarded<T> w(cols, 5, 1, 2), x(6, cols, 1, 2), unused(5, 1);
    w.fill([&] { return next.within(T{1}); });
    x.fill([&] { return next.within(T{1}); });
    guarded<T> y(1, cols), dw(1, cols), dy(5, 1);
    const auto by_columns = k::times_transposed<T>(unused.view(), nullptr, w.view(), y.view());
    const auto by_rows = k::add_transposed_times<T>(dy.view(), x.view(), list.data(), dw.view());
    for (const auto& p : {by_columns, by_rows})
      for (hg::index col = 0; col < cols; col += width) {
        guarded<T> panel(1, 3 * width);
        k::pack_panel<xsimd::default_arch>(p, col, 1, 4, panel.row());
        bool right = panel.guards_are_intact();
        for (hg::index l = 1; l < 4; ++l)
          for (hg::index j = 0; j < width; ++j)
            right = right && panel(0, (l - 1) * width + j) == (col + j < cols ? element(p, l, col + j) : T{0});
        CAPTURE(cols, col);
        CHECK(right);
      }
  }
}

TEMPLATE_TEST_CASE("pack_panels fills exactly packed_size elements", "[kernels][product]", float, double) {
  using T = TestType;
  constexpr hg::index width = k::panel_width<xsimd::default_arch, T>;
  for (const hg::index outputs : {hg::index{0}, hg::index{1}, width - 1, width, width + 1, 5 * width})
    for (const hg::index inputs : {0, 1, 9}) {
      CAPTURE(outputs, inputs);
      const hg::index size = k::packed_size<xsimd::default_arch, T>(outputs, inputs);
      CHECK(size == (outputs + width - 1) / width * width * inputs);
      guarded<T> w(outputs, inputs, 0, 1), panels(1, size);
      w.fill([] { return T{1}; });
      panels.fill([] { return T{2}; });
      k::pack_panels<xsimd::default_arch, T>(w.view(), panels.row());
      hg::index ones = 0, rest = 0;
      for (hg::index i = 0; i < size; ++i) ++(panels(0, i) == T{1} ? ones : rest);
      CHECK(ones == outputs * inputs);
      CHECK(rest == size - ones);
      CHECK(panels.guards_are_intact());
      bool padded = true;
      for (hg::index i = 0; i < size; ++i) padded = padded && panels(0, i) != T{2};
      CHECK(padded);
    }
}

TEST_CASE("the makers describe their operands", "[kernels][product]") {
  guarded<float> x(3, 5, 0, 1), w(4, 5, 0, 2), y(3, 4, 0, 3);
  const hg::index rows[] = {2, 0, 1};
  const float bias[4] = {};
  const auto forward = k::times_transposed<float>(x.view(), rows, w.view(), y.view(), bias);
  CHECK((forward.rows == 3 && forward.cols == 4 && forward.depth == 5));
  CHECK((forward.a_rows == rows && forward.bias == bias && !forward.accumulate && forward.c == y.row()));
  const auto input = k::times<float>(y.view(), w.view(), x.view(), true);
  CHECK((input.rows == 3 && input.cols == 5 && input.depth == 4 && input.accumulate));
  const auto weight = k::add_transposed_times<float>(y.view(), x.view(), rows, w.view());
  CHECK((weight.rows == 4 && weight.cols == 5 && weight.depth == 3 && weight.accumulate && weight.b_rows == rows));
}
