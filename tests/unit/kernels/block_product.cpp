// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/block_product.hpp>

#include "support/product_checks.hpp"

using namespace headgate_test;

namespace {

/// Memory of exactly the size that a block says it needs, between guards.
template <class T>
struct memory_of {
  hg::index rows, depth;
  guarded<T> memory;
  memory_of(hg::index row_count, hg::index most_depth)
      : rows(row_count), depth(most_depth), memory(1, k::block_memory<arch, T>::size(row_count, most_depth)) {
    memory.fill([] { return not_a_number<T>; });  // what is read before it is written shows
  }
  k::block_memory<arch, T> get() { return {memory.row(), rows, depth}; }
};

/// Runs one block, of a product with or without panels, and compares every sum with plain fused multiply-adds.
template <class Storage, class T, class Product>
void check_block(const k::product<T>& p, const Product& runs, hg::index first_row, hg::index last_row,
                 hg::index first_panel, hg::index last_panel) {
  const hg::index panels = k::panel_count<arch>(p), per_panel = k::panel_cols<arch>(p);
  CAPTURE(p.rows, p.cols, p.depth, p.paired, p.accumulate, first_row, last_row, first_panel, last_panel);
  memory_of<T> memory(last_row - first_row, p.depth);
  kept_sums<T> c(p.rows, panels);
  k::block_product<arch>(runs, first_row, last_row, first_panel, last_panel, memory.get(), c.keep());
  bool right = c.visited_once(first_row, last_row, first_panel, last_panel) && memory.memory.guards_are_intact();
  const hg::index last_col = (std::min)(last_panel * per_panel, p.cols);
  for (hg::index i = first_row; i < last_row; ++i)
    for (hg::index j = first_panel * per_panel; j < last_col; ++j) {
      right = right && same_bits(c.of(p, i, j), chained<Storage>(p, i, j));
      if (p.paired) right = right && same_bits(c.of(p, i, j, true), chained<Storage>(p, i, j, true));
    }
  if (!right) CHECK(false);
}

/// Operands for all kinds of products, larger than any test needs.
template <class T>
struct operands {
  hg::index rows, cols, depth;
  guarded<T> x, w, v, up, down, bias, other_bias, c;
  std::vector<hg::index> list;

  operands(hg::index row_count, hg::index col_count, hg::index inner, numbers& next)
      : rows(row_count),
        cols(col_count),
        depth(inner),
        x(rows, depth, 1, 3),
        w(cols, depth, 2, 1),
        v(cols, depth, 2, 1),
        up(depth, rows, 1, 1),
        down(depth, cols, 3, 2),
        bias(1, cols, 1),
        other_bias(1, cols, 2),
        c(rows, cols, 1, 2) {
    for (guarded<T>* m : {&x, &w, &v, &up, &down, &bias, &other_bias, &c}) fill(*m, next);
    for (hg::index i = 0; i < (std::max)(rows, depth); ++i) list.push_back(next.below(rows));
  }
  k::product<T> forward(bool listed, bool biased) {
    return k::times_transposed<T>(x.view(), listed ? list.data() : nullptr, w.view(), c.view(),
                                  biased ? bias.row() : nullptr);
  }
  k::product<T> pair(bool listed, bool biased, bool pair_biased) {
    return k::pair_times_transposed<T>(x.view(), listed ? list.data() : nullptr, rows, w.view(), v.view(),
                                       biased ? bias.row() : nullptr, pair_biased ? other_bias.row() : nullptr);
  }
  k::product<T> input(bool accumulate) { return k::times<T>(x.view(), down.view(), c.view(), accumulate); }
  k::product<T> weight() { return k::add_transposed_times<T>(up.view(), down.view(), nullptr, c.view()); }
};

}  // namespace

TEMPLATE_TEST_CASE("block_product forms every sum as plain loops do, to the bit, from weights as they are",
                   "[kernels][block_product]", float, double) {
  using T = TestType;
  numbers next(1);
  for (const hg::index rows : {1, 2, 3, 6, 7, 13, 25})
    for (const hg::index cols : {hg::index{1}, panel<T> - 1, panel<T>, 2 * panel<T> + 1, 5 * panel<T> - 1})
      for (const hg::index depth : {0, 1, 7, 63}) {
        operands<T> o(rows, cols, depth, next);
        const auto check = [&](const k::product<T>& p) { check_block<T>(p, p, 0, rows, 0, k::panel_count<arch>(p)); };
        check(o.forward(false, false)), check(o.forward(true, true));
        check(o.pair(false, false, false)), check(o.pair(true, true, true));
        check(o.pair(true, true, false)), check(o.pair(false, false, true));
        check(o.input(false));
        if (depth > 0) check(o.input(true)), check(o.weight());
      }
}

TEMPLATE_TEST_CASE("block_product does the same from packed panels of any storage", "[kernels][block_product]",
                   HEADGATE_TEST_STORAGES) {
  using T = typename TestType::T;
  using Storage = typename TestType::Storage;
  numbers next(2);
  hg::scratch<Storage> panels;
  for (const hg::index rows : {1, 2, 3, 4, 5, 6, 7, 13, 25})
    for (const hg::index cols : {hg::index{1}, panel<T>, 2 * panel<T> + 1, 4 * panel<T>, 7 * panel<T> - 1})
      for (const hg::index depth : {0, 1, 63, 100}) {
        operands<T> o(rows, cols, depth, next);
        for (const auto& p :
             {o.forward(false, true), o.forward(true, false), o.pair(true, true, true), o.pair(false, false, true)})
          check_block<Storage>(p, packed(p, panels), 0, rows, 0, k::panel_count<arch>(p));
      }
}

TEMPLATE_TEST_CASE("sums are carried from one block of depth to the next", "[kernels][block_product]",
                   HEADGATE_TEST_STORAGES) {
  using T = typename TestType::T;
  using Storage = typename TestType::Storage;
  numbers next(3);
  hg::scratch<Storage> panels;
  const hg::index block = k::block_memory<arch, T>::block_of_depth();
  for (const hg::index depth : {block - 1, block, block + 1, 2 * block + 5})
    for (const hg::index rows : {hg::index{1}, hg::index{3}, k::tile_rows<arch> + 1, 2 * k::tile_rows<arch> + 3}) {
      operands<T> o(rows, 2 * panel<T> + 3, depth, next);
      for (const auto& p : {o.forward(false, true), o.pair(true, true, true)}) {
        check_block<Storage>(p, packed(p, panels), 0, rows, 0, k::panel_count<arch>(p));
        if constexpr (std::is_same_v<T, Storage>) check_block<T>(p, p, 0, rows, 0, k::panel_count<arch>(p));
      }
      if constexpr (std::is_same_v<T, Storage>) {
        const auto added = o.input(true), weight = o.weight();
        check_block<T>(added, added, 0, rows, 0, k::panel_count<arch>(added));
        check_block<T>(weight, weight, 0, rows, 0, k::panel_count<arch>(weight));
      }
    }
}

TEMPLATE_TEST_CASE("a block is any range of rows and of panels, the last ones included", "[kernels][block_product]",
                   HEADGATE_TEST_STORAGES) {
  using T = typename TestType::T;
  using Storage = typename TestType::Storage;
  numbers next(4);
  hg::scratch<Storage> panels;
  operands<T> o(20, 8 * panel<T> + 5, 33, next);
  for (const auto& p : {o.forward(false, true), o.forward(true, true), o.pair(true, true, true)})
    for (int trial = 0; trial < 60; ++trial) {
      const hg::index count = k::panel_count<arch>(p);
      hg::index first_row = next.below(21), last_row = next.below(21), first = next.below(count + 1),
                last = next.below(count + 1);
      if (trial % 3 == 0) last_row = (std::min)(first_row + 1, hg::index{20});  // one row takes four panels at a time
      if (first_row > last_row) std::swap(first_row, last_row);
      if (first > last) std::swap(first, last);
      check_block<Storage>(p, packed(p, panels), first_row, last_row, first, last);
      if constexpr (std::is_same_v<T, Storage>) check_block<T>(p, p, first_row, last_row, first, last);
    }
  if constexpr (std::is_same_v<T, Storage>)
    for (const auto& p : {o.input(true), o.weight()}) {
      check_block<T>(p, p, 3, 17, 2, 5);
      check_block<T>(p, p, 6, 7, 1, k::panel_count<arch>(p));
    }
}

namespace {

/// A matrix in memory of exactly its size, with nothing behind its last element: an address sanitizer sees a step beyond.
template <class T>
struct exact {
  std::vector<T> memory;
  hg::index rows, cols;
  exact(hg::index row_count, hg::index col_count, numbers& next) : rows(row_count), cols(col_count) {
    for (hg::index i = 0; i < rows * cols; ++i) memory.push_back(next.within(T{1}));
    memory.shrink_to_fit();
  }
  hg::view<T> view() { return {memory.data(), rows, cols}; }
};

}  // namespace

TEMPLATE_TEST_CASE("block_product reads nothing behind its operands", "[kernels][block_product]", float, double) {
  using T = TestType;
  numbers next(6);
  hg::scratch<T> panels;
  for (const hg::index rows : {hg::index{1}, hg::index{3}, k::tile_rows<arch> + 1})
    for (const hg::index cols : {hg::index{1}, panel<T> - 1, panel<T>, 2 * panel<T> + 1, 5 * panel<T> - 3})
      for (const hg::index depth : {1, 8, 17}) {
        exact<T> x(rows, depth, next), w(cols, depth, next), v(cols, depth, next), up(depth, rows, next),
            down(depth, cols, next), bias(1, cols, next), c(rows, cols, next);
        const auto check = [&](const k::product<T>& p) { check_block<T>(p, p, 0, rows, 0, k::panel_count<arch>(p)); };
        const auto forward = k::times_transposed<T>(x.view(), nullptr, w.view(), c.view(), bias.memory.data());
        const auto pair = k::pair_times_transposed<T>(x.view(), nullptr, rows, w.view(), v.view(), bias.memory.data(),
                                                      bias.memory.data());
        check(forward), check(pair);
        check_block<T>(forward, packed(forward, panels), 0, rows, 0, k::panel_count<arch>(forward));
        check_block<T>(pair, packed(pair, panels), 0, rows, 0, k::panel_count<arch>(pair));
        check(k::times<T>(x.view(), down.view(), c.view(), true));
        check(k::add_transposed_times<T>(up.view(), down.view(), nullptr, c.view()));
      }
}

TEST_CASE("an empty sum that would be added to C is not even brought", "[kernels][block_product]") {
  numbers next(5);
  operands<float> o(5, 20, 0, next);
  memory_of<float> memory(5, 0);
  kept_sums<float> c(5, k::panel_count<arch>(o.weight()));
  k::block_product<arch>(o.weight(), 0, 5, 0, 1, memory.get(), c.keep());
  CHECK(c.visited_once(0, 0, 0, 0));
}

TEMPLATE_TEST_CASE("store_panel writes the columns that a row has and no others", "[kernels][block_product]", float,
                   double) {
  using T = TestType;
  using batch = xsimd::batch<T, arch>;
  T values[static_cast<std::size_t>(panel<T>)];
  for (hg::index j = 0; j < panel<T>; ++j) values[j] = static_cast<T>(j + 1);
  const batch low = batch::load_unaligned(values), high = batch::load_unaligned(values + batch::size);
  for (hg::index cols = 0; cols <= 2 * panel<T>; ++cols)
    for (const hg::index col : {hg::index{0}, panel<T>}) {
      guarded<T> row(1, cols, 1);
      row.fill([] { return T{-1}; });
      k::store_panel(row.row(), col, cols, low, high);
      bool right = row.guards_are_intact();
      for (hg::index j = 0; j < cols; ++j)
        right = right && row(0, j) == (j >= col && j < col + panel<T> ? static_cast<T>(j - col + 1) : T{-1});
      CAPTURE(cols, col);
      CHECK(right);
    }
}

TEST_CASE("a block of rows is larger where panels are packed for each, and never more than there are",
          "[kernels][block_product]") {
  const float panels[1] = {};
  for (const hg::index depth : {0, 1, 100, 2048, 1 << 20})
    for (const hg::index rows : {0, 1, 24, 100, 100000}) {
      k::product<float> p;
      p.rows = rows, p.depth = depth;
      CHECK(k::rows_in_block<arch>(p) == (std::min)(rows, k::row_block(4 * depth, k::tile_rows<arch>, true)));
      p.panels = panels;
      CHECK(k::rows_in_block<arch>(p) == (std::min)(rows, k::row_block(4 * depth, k::tile_rows<arch>, false)));
    }
}
