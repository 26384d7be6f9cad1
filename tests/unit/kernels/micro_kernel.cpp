// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/micro_kernel.hpp>

#include "support/product_checks.hpp"

using namespace headgate_test;

namespace {

constexpr hg::index most_rows = k::tile_rows<arch>;

/// Rows, panels and start values of one call, larger than any call needs.
template <class T, class Storage>
struct tile {
  static constexpr hg::index depth = 100, panels = 4;
  guarded<T> a{most_rows, depth * 3, 1, 1};
  guarded<T> weights{panels * depth, panel<T>};  // by panel and step, as they are stored
  guarded<T> start{most_rows, panels* panel<T>, 3, 2};
  std::vector<Storage> memory = std::vector<Storage>(static_cast<std::size_t>(panels * depth * panel<T> + 1));

  explicit tile(std::uint64_t seed) {
    numbers next(seed);
    fill(a, next), fill(start, next);
    weights.fill([&] { return through<Storage>(next.within(T{1})); });
    pack();
  }
  void pack() {
    for (hg::index step = 0; step < panels * depth; ++step)
      for (hg::index j = 0; j < panel<T>; ++j)
        memory[static_cast<std::size_t>(1 + step * panel<T> + k::panel_storage<arch, T, Storage>::position(j))] =
            static_cast<Storage>(weights(step, j));
  }

  /// Steps [first, first + count) of `rows` rows and `at_once` panels; sums start at start_rows, a row each or one for all.
  void run(kept_sums<T>& c, hg::index rows, hg::index at_once, hg::index first, hg::index count, hg::index stride,
           const T* start_rows, hg::index start_stride) {
    const T* a_rows[static_cast<std::size_t>(most_rows)] = {};
    for (hg::index r = 0; r < rows; ++r) a_rows[r] = a.row(r) + first * stride;
    k::micro_operands<T, Storage> m;
    m.depth = count, m.a_rows = a_rows, m.a_stride = stride;
    m.panel = memory.data() + 1 + first * panel<T>, m.panel_stride = depth * panel<T>;
    m.next = nullptr, m.next_step = 1 << 20;  // an address that nothing may read
    m.start = start_rows, m.start_stride = start_stride;
    k::micro_kernel_for<arch, T, Storage>(rows, at_once, m, c.keep());
  }
  T expected(hg::index r, hg::index p, hg::index j, hg::index count, hg::index stride, T sum) {
    for (hg::index l = 0; l < count; ++l) sum = fused(a(r, l * stride), weights(p * depth + l, j), sum);
    return sum;
  }
};

template <class T, class Storage>
std::vector<hg::index> panels_of(hg::index rows) {
  const hg::index most = k::panels_at_once<arch, T, Storage>(rows);
  return most == 1 ? std::vector<hg::index>{1} : std::vector<hg::index>{1, most};
}

}  // namespace

TEMPLATE_TEST_CASE("micro_kernel adds in the order of depth, to the bit, for every number of rows and panels",
                   "[kernels][micro_kernel]", HEADGATE_TEST_STORAGES) {
  using T = typename TestType::T;
  using Storage = typename TestType::Storage;
  tile<T, Storage> t(1);
  for (hg::index rows = 1; rows <= most_rows; ++rows)
    for (const hg::index at_once : panels_of<T, Storage>(rows))
      for (const hg::index depth : {0, 1, 2, 3, 4, 5, 9, 100})
        for (const hg::index stride : {1, 3})
          for (const bool own_starts : {false, true}) {
            kept_sums<T> c(rows, at_once);
            const hg::index start_stride = own_starts ? t.start.view().stride : 0;
            t.run(c, rows, at_once, 0, depth, stride, t.start.row(), start_stride);
            bool right = c.visited_once(0, rows, 0, at_once);
            for (hg::index r = 0; r < rows; ++r)
              for (hg::index p = 0; p < at_once; ++p)
                for (hg::index j = 0; j < panel<T>; ++j) {
                  const T start = t.start(own_starts ? r : 0, p * panel<T> + j);
                  right = right &&
                          same_bits(c.low_and_high(r, p * panel<T> + j), t.expected(r, p, j, depth, stride, start));
                }
            CAPTURE(rows, at_once, depth, stride, own_starts);
            if (!right) CHECK(false);
          }
}

TEMPLATE_TEST_CASE("an element of micro_kernel does not depend on the other rows and panels", "[kernels][micro_kernel]",
                   HEADGATE_TEST_STORAGES) {
  using T = typename TestType::T;
  using Storage = typename TestType::Storage;
  tile<T, Storage> t(2);
  const std::vector<T> zeros(static_cast<std::size_t>(4 * panel<T>), T{0});
  kept_sums<T> all(most_rows, 1);
  t.run(all, most_rows, 1, 0, 100, 1, zeros.data(), 0);
  const auto first_panel = [](kept_sums<T>& c, hg::index r) {
    return c.low_and_high.view().part(r, r + 1, 0, panel<T>);
  };
  for (hg::index rows = 1; rows <= most_rows; ++rows)
    for (const hg::index at_once : panels_of<T, Storage>(rows)) {
      kept_sums<T> c(rows, at_once);
      t.run(c, rows, at_once, 0, 100, 1, zeros.data(), 0);
      for (hg::index r = 0; r < rows; ++r) CHECK(same_bits(first_panel(c, r), first_panel(all, r)));
    }
  // Not by chance: NaN and infinity of one row stay in that row.
  t.a(1, 50) = not_a_number<T>;
  t.a(2, 50) = infinity<T>;
  kept_sums<T> c(most_rows, 1);
  t.run(c, most_rows, 1, 0, 100, 1, zeros.data(), 0);
  for (hg::index r = 0; r < most_rows; ++r)
    if (r != 1 && r != 2) CHECK(same_bits(first_panel(c, r), first_panel(all, r)));
  CHECK(std::isnan(c.low_and_high(1, 0)));
  CHECK(!std::isfinite(c.low_and_high(2, 0)));
}

TEMPLATE_TEST_CASE("sums cut in two at any depth keep their bits", "[kernels][micro_kernel]", HEADGATE_TEST_STORAGES) {
  using T = typename TestType::T;
  using Storage = typename TestType::Storage;
  tile<T, Storage> t(3);
  kept_sums<T> whole(3, 1);
  t.run(whole, 3, 1, 0, 40, 1, t.start.row(), t.start.view().stride);
  for (hg::index cut = 0; cut <= 40; ++cut) {
    kept_sums<T> one(3, 1), two(3, 1);
    t.run(one, 3, 1, 0, cut, 1, t.start.row(), t.start.view().stride);
    t.run(two, 3, 1, cut, 40 - cut, 1, one.low_and_high.row(), one.low_and_high.view().stride);
    CHECK(same_bits(two.low_and_high.view(), whole.low_and_high.view()));
  }
}

TEST_CASE("tiles use the registers there are, and few rows take several panels", "[kernels][micro_kernel]") {
  CHECK(most_rows == (k::has_32_registers<arch> ? 8 : 6));
  CHECK(k::panels_at_once<arch, float, float>(1) == 4);
  CHECK(k::panels_at_once<arch, float, float>(most_rows) == 1);
  for (hg::index rows = 2; rows <= most_rows; ++rows) {  // accumulators, two vectors of B and one of A
    const hg::index registers = 2 * rows * k::panels_at_once<arch, float, float>(rows) + 3;
    CHECK(registers <= (k::has_32_registers<arch> ? 32 : 16));
    CHECK(k::panels_at_once<arch, float, hg::bf16>(rows) <= k::panels_at_once<arch, float, float>(rows));
  }
}
