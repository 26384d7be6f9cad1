// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/panels.hpp>

#include "support/product_checks.hpp"

using namespace headgate_test;

namespace {

/// The number that must stand in a panel for column c of its width, 0 <= c < panel<T>, at depth l.
template <class T>
T packed_element(const k::product<T>& p, hg::index number, hg::index c, hg::index l) {
  const hg::index per_panel = p.paired ? panel<T> / 2 : panel<T>;
  const hg::index j = number * per_panel + c % per_panel;
  return j < p.cols ? right(p, c < per_panel ? p.b : p.b_pair, l, j) : T{0};
}

/// Weights in every layout that a product can have: rows, columns, rows of a list, and pairs of the first.
template <class T>
struct layouts {
  static constexpr hg::index depth = 21;
  guarded<T> w, v, x, unused{depth, 1}, dx, dw;
  std::vector<hg::index> list;

  layouts(hg::index cols, numbers& next)
      : w(cols, depth, 1, 2), v(cols, depth, 1, 2), x(9, cols, 1, 2), dx(1, cols), dw(1, cols) {
    fill(w, next), fill(v, next), fill(x, next);
    for (hg::index l = 0; l < depth; ++l) list.push_back(next.below(9));
  }
  [[nodiscard]] std::vector<k::product<T>> all() {
    const hg::view<T> up = w.view(), rows(x.row(), 9, x.view().cols, x.view().stride);
    return {k::of_weight<T>(up), k::pair_times_transposed<T>({}, nullptr, 0, up, v.view()),
            k::add_transposed_times<T>(unused.view(), rows, list.data(), dw.view()), by_depth()};
  }
  /// dx = dy w: a column of B is a column of w.
  [[nodiscard]] k::product<T> by_depth() {
    return k::times<T>({}, {x.row(), 9, x.view().cols, x.view().stride}, dx.view(), false);
  }
};

}  // namespace

TEMPLATE_TEST_CASE("pack_panel lays out any part of a panel step by step and pads with zeros", "[kernels][panels]",
                   float, double) {
  using T = TestType;
  numbers next(1);
  for (hg::index cols = 1; cols <= 2 * panel<T> + 1; ++cols) {
    layouts<T> b(cols, next);
    for (const auto& p : b.all()) {
      CAPTURE(cols, p.paired, p.b_col_stride, p.depth);
      const hg::index per_panel = k::panel_cols<arch>(p);
      CHECK(per_panel == (p.paired ? panel<T> / 2 : panel<T>));
      CHECK(k::panel_count<arch>(p) == (cols + per_panel - 1) / per_panel);
      for (hg::index number = 0; number < k::panel_count<arch>(p); ++number)
        for (const auto& [first, last] :
             {std::pair<hg::index, hg::index>{0, p.depth}, {1, 4}, {0, 1}, {3, 3}, {2, 9}}) {
          guarded<T> to(1, p.depth * panel<T>, next.below(3));
          k::pack_panel<arch>(p, number, first, last, to.row());
          bool right = to.guards_are_intact();
          for (hg::index l = first; l < last; ++l)
            for (hg::index c = 0; c < panel<T>; ++c)
              right = right && same_bits(to(0, (l - first) * panel<T> + c), packed_element(p, number, c, l));
          if (!right) CHECK(false);
        }
    }
  }
}

TEMPLATE_TEST_CASE("pack_panels stores all panels one after the other, each number rounded and in its place",
                   "[kernels][panels]", HEADGATE_TEST_STORAGES) {
  using T = typename TestType::T;
  using Storage = typename TestType::Storage;
  numbers next(2);
  for (const hg::index cols :
       {hg::index{0}, hg::index{1}, panel<T> / 2, panel<T> - 1, panel<T>, panel<T> + 1, 5 * panel<T>})
    for (const hg::index depth : {0, 1, 9, 63, 64, 65, 130})  // both sides of what is packed at a time
      for (const bool paired : {false, true}) {
        CAPTURE(cols, depth, paired);
        guarded<T> w(cols, depth, 0, 1), v(cols, depth, 0, 1);
        fill(w, next), fill(v, next);
        const auto p =
            paired ? k::pair_times_transposed<T>({}, nullptr, 0, w.view(), v.view()) : k::of_weight<T>(w.view());
        const hg::index size = k::packed_size<arch, T>(cols, depth, paired);
        const hg::index panels = k::panel_count<arch>(p);
        CHECK(size == panels * panel<T> * depth);
        std::vector<Storage> memory(static_cast<std::size_t>(size + 2), Storage(T(-3)));
        k::pack_panels<arch>(p, memory.data() + 1);
        bool right = true;
        for (hg::index number = 0; number < panels; ++number)
          for (hg::index l = 0; l < depth; ++l)
            for (hg::index c = 0; c < panel<T>; ++c) {
              const hg::index at = (number * depth + l) * panel<T> + k::panel_storage<arch, T, Storage>::position(c);
              right = right && same_bits(static_cast<T>(memory[static_cast<std::size_t>(at + 1)]),
                                         through<Storage>(packed_element(p, number, c, l)));
            }
        CHECK(right);
        CHECK((static_cast<T>(memory.front()) == T(-3) && static_cast<T>(memory.back()) == T(-3)));
      }
}

TEMPLATE_TEST_CASE("pack_rows gives every part of A in every layout, within the memory it asked for",
                   "[kernels][panels]", float, double) {
  using T = TestType;
  numbers next(3);
  const std::vector<hg::index> list{4, 0, 4, 8, 2, 7, 1, 1, 5};
  for (const hg::index depth : {0, 1, 3, 17, 63, 100, 128, 256})  // strides of powers of two are copied
    for (const bool listed : {false, true})
      for (const hg::index gap : {0, 1}) {
        guarded<T> x(9, depth, 1, gap), w(1, depth), y(9, 1), up(depth, 9, 2, depth > 100 ? 128 - 9 : gap), dw(9, 1);
        fill(x, next), fill(up, next);
        const auto rows = k::times_transposed<T>(x.view(), listed ? list.data() : nullptr, w.view(), y.view());
        const auto columns =
            k::add_transposed_times<T>(up.view(), hg::view<T>(x.row(), depth, 1, 1), nullptr, dw.view());
        for (const auto& p : {rows, columns})
          for (const auto& [first, last] : {std::pair<hg::index, hg::index>{0, 9}, {0, 1}, {3, 4}, {2, 8}, {8, 9}}) {
            guarded<T> memory(
                1, (std::max)((last - first) * k::spread_stride<T>(depth), depth * k::spread_stride<T>(last - first)));
            const k::left_block<T> block = k::pack_rows(p, first, last, memory.row());
            bool right = memory.guards_are_intact();
            for (hg::index i = first; i < last; ++i)
              for (hg::index l = 0; l < depth; ++l)
                right = right && same_bits(block.row(i - first)[l * block.stride], left(p, i, l));
            CAPTURE(depth, listed, gap, first, last);
            if (!right) CHECK(false);
            if (last - first == 1) CHECK(block.data != memory.row());  // one row needs no copy
          }
      }
}

TEST_CASE("rows are copied if they come from a list or would meet in a few sets of the cache", "[kernels][panels]") {
  const auto in_place = [](hg::index row_stride, hg::index depth_stride, const hg::index* list, hg::index rows) {
    k::product<float> p;
    p.a_row_stride = row_stride, p.a_depth_stride = depth_stride, p.a_rows = list;
    return k::reads_in_place(p, rows);
  };
  const hg::index list[] = {0, 1};
  CHECK(in_place(100, 1, nullptr, 2));
  CHECK_FALSE(in_place(1024, 1, nullptr, 2));
  CHECK(in_place(1024, 1, nullptr, 1));
  CHECK_FALSE(in_place(100, 1, list, 2));
  CHECK(in_place(1024, 1, list, 1));
  CHECK(in_place(1, 100, nullptr, 2));
  CHECK_FALSE(in_place(1, 512, nullptr, 2));
}
