// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/gemm.hpp>
#include <headgate/parallel/thread_pool.hpp>
#include <headgate/reference/gemm.hpp>

#if defined(_OPENMP)
#include <headgate/parallel/openmp.hpp>
#endif

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"
#include "support/shuffled.hpp"

#include <Eigen/Core>

namespace k = headgate::kernels;
using namespace headgate_test;

namespace {

template <class T>
double tolerance(hg::index depth) {  // of sums of `depth` products of numbers below 1
  return 2 * static_cast<double>(epsilon<T>) * static_cast<double>(depth + 2);
}

template <class T>
void fill(guarded<T>& m, numbers& next) {
  m.fill([&] { return next.within(T{1}); });
}

template <class T>
double distance(hg::view<T> a, hg::view<T> b) {
  double worst = 0;
  for (hg::index r = 0; r < a.rows; ++r)
    for (hg::index c = 0; c < a.cols; ++c) worst = (std::max)(worst, static_cast<double>(std::abs(a(r, c) - b(r, c))));
  return worst;
}

/// Zero, one, and both sides of every block: the tile (6), the panel (2 vectors), the task (144 rows), the depth block.
template <class T, class Check>
void for_each_shape(const Check& check) {
  constexpr hg::index panel = k::panel_width<xsimd::default_arch, T>;
  for (const hg::index rows : {0, 1, 2, 3, 4, 5, 6, 7, 11, 13})
    for (const hg::index cols : {hg::index{0}, hg::index{1}, panel - 1, panel, panel + 1, 3 * panel - 2})
      for (const hg::index depth : {0, 1, 2, 7, 33}) check(rows, cols, depth);
  for (const hg::index depth : {511, 512, 513, 1025}) check(hg::index{7}, panel + 3, depth);
  for (const hg::index rows : {143, 144, 145, 289}) check(rows, panel + 3, hg::index{5});
}

}  // namespace

TEMPLATE_TEST_CASE("gemm computes x w' with bias as plain loops do, for every shape", "[kernels][gemm]", float,
                   double) {
  using T = TestType;
  numbers next(1);
  hg::scratch<T> memory;
  for_each_shape<T>([&](hg::index rows, hg::index cols, hg::index depth) {
    CAPTURE(rows, cols, depth);
    guarded<T> x(rows, depth, 1, 2), w(cols, depth, 3, 1), bias(1, cols, 2), y(rows, cols, 1, 5), expected(rows, cols);
    fill(x, next), fill(w, next), fill(bias, next), fill(y, next);
    for (const T* b : {static_cast<const T*>(nullptr), static_cast<const T*>(bias.row())}) {
      k::gemm(k::times_transposed<T>(x.view(), nullptr, w.view(), y.view(), b), hg::run_sequentially, memory);
      hg::reference::times_transposed<T>(x.view(), nullptr, w.view(), expected.view(), b);
      CHECK(distance(y.view(), expected.view()) <= tolerance<T>(depth));
      CHECK(y.guards_are_intact());
    }
  });
}

TEMPLATE_TEST_CASE("gemm computes both gradients as plain loops do, for every shape", "[kernels][gemm]", float,
                   double) {
  using T = TestType;
  numbers next(2);
  hg::scratch<T> memory;
  for_each_shape<T>([&](hg::index rows, hg::index cols, hg::index depth) {
    CAPTURE(rows, cols, depth);
    guarded<T> dy(rows, depth, 1, 2), w(depth, cols, 3, 1), dx(rows, cols, 1, 5), expected(rows, cols);
    fill(dy, next), fill(w, next), fill(dx, next);
    for (const bool accumulate : {false, true}) {
      expected.copy(dx.view());
      k::gemm(k::times<T>(dy.view(), w.view(), dx.view(), accumulate), hg::run_sequentially, memory);
      hg::reference::times<T>(dy.view(), w.view(), expected.view(), accumulate);
      CHECK(distance(dx.view(), expected.view()) <= tolerance<T>(depth));
      CHECK(dx.guards_are_intact());
    }
    guarded<T> up(depth, rows, 1, 2), x(depth, cols, 3, 1), dw(rows, cols, 1, 5);
    fill(up, next), fill(x, next), fill(dw, next);
    expected.copy(dw.view());
    k::gemm(k::add_transposed_times<T>(up.view(), x.view(), nullptr, dw.view()), hg::run_sequentially, memory);
    hg::reference::add_transposed_times<T>(up.view(), x.view(), nullptr, expected.view());
    CHECK(distance(dw.view(), expected.view()) <= tolerance<T>(depth + 1));
    CHECK(dw.guards_are_intact());
  });
}

TEST_CASE("gemm agrees with Eigen on larger matrices", "[kernels][gemm]") {
  using M = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const M x = M::Random(157, 601), w = M::Random(61, 601);
  M y(157, 61);
  hg::scratch<double> memory;
  k::gemm(k::times_transposed<double>({x.data(), 157, 601}, nullptr, {w.data(), 61, 601}, {y.data(), 157, 61}),
          hg::run_sequentially, memory);
  CHECK((y - x * w.transpose()).cwiseAbs().maxCoeff() < 1e-12);
}

TEMPLATE_TEST_CASE("gemm follows lists of rows, repeated ones too", "[kernels][gemm]", float, double) {
  using T = TestType;
  numbers next(3);
  const std::vector<hg::index> rows{4, 0, 4, 2, 2, 7, 1};
  const auto count = static_cast<hg::index>(rows.size());
  guarded<T> x(8, 19, 1, 2), w(21, 19), y(count, 21), expected(count, 21), dw(21, 19), expected_dw(21, 19);
  fill(x, next), fill(w, next), fill(dw, next);
  expected_dw.copy(dw.view());
  hg::scratch<T> memory;
  k::gemm(k::times_transposed<T>(x.view(), rows.data(), w.view(), y.view()), hg::run_sequentially, memory);
  hg::reference::times_transposed<T>(x.view(), rows.data(), w.view(), expected.view());
  CHECK(distance(y.view(), expected.view()) <= tolerance<T>(19));
  k::gemm(k::add_transposed_times<T>(y.view(), x.view(), rows.data(), dw.view()), hg::run_sequentially, memory);
  hg::reference::add_transposed_times<T>(y.view(), x.view(), rows.data(), expected_dw.view());
  CHECK(distance(dw.view(), expected_dw.view()) <= 20 * tolerance<T>(count));
}

TEMPLATE_TEST_CASE("panels packed beforehand give the same bits", "[kernels][gemm]", float, double) {
  using T = TestType;
  numbers next(4);
  hg::scratch<T> memory, panels;
  for (const hg::index depth : {1, 33, 512, 700})
    for (const hg::index outputs : {1, 15, 16, 17, 40})
      for (const hg::index rows : {1, 5, 150}) {
        CAPTURE(depth, outputs, rows);
        guarded<T> x(rows, depth), w(outputs, depth, 1, 3), plain(rows, outputs), packed(rows, outputs);
        fill(x, next), fill(w, next);
        auto p = k::times_transposed<T>(x.view(), nullptr, w.view(), plain.view());
        k::gemm(p, hg::run_sequentially, memory);
        panels.resize(1, k::packed_size<xsimd::default_arch, T>(outputs, depth));
        k::pack_panels<xsimd::default_arch, T>(w.view(), panels.data());
        p.b = nullptr;
        p.panels = panels.data();
        p.c = packed.row();
        k::gemm(p, hg::run_sequentially, memory);
        CHECK(same_bits(plain.view(), packed.view()));
      }
}

TEMPLATE_TEST_CASE("a row has the same bits among any number of rows", "[kernels][gemm]", float, double) {
  using T = TestType;
  numbers next(5);
  const hg::index depth = 530, cols = 37;
  guarded<T> x(200, depth), w(cols, depth), bias(1, cols), alone(200, cols);
  fill(x, next), fill(w, next), fill(bias, next);
  hg::scratch<T> memory;
  for (hg::index r = 0; r < 200; ++r)
    k::gemm(k::times_transposed<T>(x.view().middle_rows(r, 1), nullptr, w.view(), alone.view().middle_rows(r, 1),
                                   bias.row()),
            hg::run_sequentially, memory);
  for (hg::index rows = 1; rows <= 200; rows += rows < 30 ? 1 : 17) {
    CAPTURE(rows);
    guarded<T> y(rows, cols, 1, 1);
    k::gemm(k::times_transposed<T>(x.view().middle_rows(200 - rows, rows), nullptr, w.view(), y.view(), bias.row()),
            hg::run_sequentially, memory);
    CHECK(same_bits(y.view(), alone.view().middle_rows(200 - rows, rows)));
  }
}

namespace {

/// Eleven groups of two parts each (the second adds to the first), some of them empty, and the order of the epilogues.
template <class T>
struct many_groups {
  static constexpr hg::index cols = 43, depth = 70;
  std::vector<hg::index> rows{0, 150, 1, 0, 0, 7, 301, 2, 0, 64, 0};
  guarded<T> x{525, depth, 1, 1}, w{11 * cols, depth}, v{11 * cols, depth, 2, 3};

  many_groups() {
    numbers next(6);
    fill(x, next), fill(w, next), fill(v, next);
  }

  template <class Executor>
  std::vector<T> run(const Executor& executor) {
    std::vector<T> c(525 * cols, T(7)), h = c;  // h: the epilogue's answer
    hg::array<k::product_group<T, 2>> groups;
    std::vector<hg::index> starts;
    hg::index first = 0;
    for (std::size_t g = 0; g < rows.size(); ++g) {
      const auto e = static_cast<hg::index>(g);
      const hg::view<T> y(c.data() + first * cols, rows[g], cols);
      auto one = k::times_transposed<T>(x.view().middle_rows(first, rows[g]), nullptr,
                                        w.view().middle_rows(e * cols, cols), y);
      auto two = k::times_transposed<T>(x.view().middle_rows(first, rows[g]), nullptr,
                                        v.view().middle_rows(e * cols, cols), y);
      two.accumulate = true;
      groups.push_back({one, two});
      starts.push_back(first);
      first += rows[g];
    }
    hg::scratch<T> memory;
    k::grouped_product(
        groups, executor, memory,
        [&](hg::index g, hg::index first_row, hg::index last_row, hg::index first_col, hg::index last_col) {
          for (hg::index r = first_row; r < last_row; ++r)
            for (hg::index j = first_col; j < last_col; ++j) {
              const auto at = static_cast<std::size_t>((starts[static_cast<std::size_t>(g)] + r) * cols + j);
              h[at] = h[at] == T(7) ? 2 * c[at] : not_a_number<T>;  // a second visit shows
            }
        });
    bool once = true;
    for (std::size_t i = 0; i < c.size(); ++i) once = once && same_bits(h[i], 2 * c[i]);
    CHECK(once);
    return c;
  }
};

template <class T>
bool same_numbers(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](T x, T y) { return same_bits(x, y); });
}

}  // namespace

TEMPLATE_TEST_CASE("groups of two parts, empty ones among them, are right and visit each tile once", "[kernels][gemm]",
                   float, double) {
  using T = TestType;
  many_groups<T> g;
  const auto c = g.run(hg::run_sequentially);
  hg::index first = 0;
  for (std::size_t i = 0; i < g.rows.size(); first += g.rows[i++]) {
    guarded<T> expected(g.rows[i], g.cols), more(g.rows[i], g.cols);
    const auto e = static_cast<hg::index>(i) * g.cols;
    hg::reference::times_transposed<T>(g.x.view().middle_rows(first, g.rows[i]), nullptr,
                                       g.w.view().middle_rows(e, g.cols), expected.view());
    hg::reference::times_transposed<T>(g.x.view().middle_rows(first, g.rows[i]), nullptr,
                                       g.v.view().middle_rows(e, g.cols), more.view());
    double worst = 0;
    for (hg::index r = 0; r < g.rows[i]; ++r)
      for (hg::index j = 0; j < g.cols; ++j)
        worst = (std::max)(worst, static_cast<double>(std::abs(c[static_cast<std::size_t>((first + r) * g.cols + j)] -
                                                               expected(r, j) - more(r, j))));
    CHECK(worst <= 2 * tolerance<T>(2 * g.depth));
  }
}

TEMPLATE_TEST_CASE("no executor and no order of tasks changes a bit", "[kernels][gemm]", float, double) {
  using T = TestType;
  many_groups<T> g;
  const auto alone = g.run(hg::run_sequentially);
  for (std::uint64_t seed = 1; seed <= 5; ++seed) CHECK(same_numbers(g.run(shuffled{3, seed}), alone));
  for (const hg::index threads : {2, 3}) CHECK(same_numbers(g.run(hg::thread_pool(threads)), alone));
#if defined(_OPENMP)
  for (const int threads : {2, 3}) CHECK(same_numbers(g.run(hg::openmp{threads}), alone));
#endif
}

namespace {

struct forbidden {
  static hg::index workers() { return 2; }
  template <class F>
  static void run(hg::index, const F&) {
    FAIL("the executor was asked");
  }
};

}  // namespace

TEST_CASE("a small product wakes no thread", "[kernels][gemm]") {
  guarded<float> x(4, 8), w(4, 8), y(4, 4);
  hg::scratch<float> memory;
  k::gemm(k::times_transposed<float>(x.view(), nullptr, w.view(), y.view()), forbidden{}, memory);
}
