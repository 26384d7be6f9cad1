// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/gemm.hpp>
#include <headgate/parallel/thread_pool.hpp>
#include <headgate/reference/gemm.hpp>

#if defined(_OPENMP)
#include <headgate/parallel/openmp.hpp>
#endif

#include "support/product_checks.hpp"
#include "support/shuffled.hpp"

#include <Eigen/Core>

using namespace headgate_test;

namespace {

template <class T>
double tolerance(hg::index depth) {  // of sums of `depth` products of numbers below 1
  return 2 * static_cast<double>(epsilon<T>) * static_cast<double>(depth + 2);
}

template <class T>
double distance(hg::view<T> a, hg::view<T> b) {
  double worst = 0;
  for (hg::index r = 0; r < a.rows; ++r)
    for (hg::index c = 0; c < a.cols; ++c) worst = (std::max)(worst, static_cast<double>(std::abs(a(r, c) - b(r, c))));
  return worst;
}

/// Zero, one, and both sides of every block: the tile (6 or 12), the panel (2 vectors), the most rows of a task (768),
/// the depth block.
template <class T, class Check>
void for_each_shape(const Check& check) {
  for (const hg::index rows : {0, 1, 2, 3, 4, 5, 6, 7, 11, 13, 25})
    for (const hg::index cols : {hg::index{0}, hg::index{1}, panel<T> - 1, panel<T>, panel<T> + 1, 3 * panel<T> - 2})
      for (const hg::index depth : {0, 1, 2, 7, 33}) check(rows, cols, depth);
  const hg::index block = k::block_memory<arch, T>::block_of_depth();
  for (const hg::index depth : {block - 1, block, block + 1, 2 * block + 1}) check(hg::index{7}, panel<T> + 3, depth);
  for (const hg::index rows : {143, 767, 768, 769, 1537}) check(rows, panel<T> + 3, hg::index{5});
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

TEMPLATE_TEST_CASE("panels packed beforehand give the bits of the weights that they store", "[kernels][gemm]",
                   HEADGATE_TEST_STORAGES) {
  using T = typename TestType::T;
  using Storage = typename TestType::Storage;
  numbers next(4);
  hg::scratch<T> memory;
  hg::scratch<Storage> panels;
  for (const hg::index depth : {1, 33, 512, 700})
    for (const hg::index outputs : {1, 15, 16, 17, 40})
      for (const hg::index rows : {1, 5, 150}) {
        CAPTURE(depth, outputs, rows);
        guarded<T> x(rows, depth), w(outputs, depth, 1, 3), bias(1, outputs), plain(rows, outputs),
            got(rows, outputs, 1, 1);
        fill(x, next), fill(w, next), fill(bias, next);
        const auto p = k::times_transposed<T>(x.view(), nullptr, w.view(), got.view(), bias.row());
        const auto from_panels = packed<Storage>(p, panels);
        k::gemm(from_panels, hg::run_sequentially, memory);
        for (hg::index r = 0; r < outputs; ++r)
          for (hg::index l = 0; l < depth; ++l) w(r, l) = through<Storage>(w(r, l));
        k::gemm(k::times_transposed<T>(x.view(), nullptr, w.view(), plain.view(), bias.row()), hg::run_sequentially,
                memory);
        CHECK(same_bits(plain.view(), got.view()));
        CHECK(got.guards_are_intact());
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

/// Eleven groups of two parts each (the second adds to the first), some of them empty, and a finish of their sums.
template <class T>
struct many_groups {
  static constexpr hg::index cols = 43, depth = 70;
  std::vector<hg::index> rows{0, 150, 1, 0, 0, 7, 301, 2, 0, 64, 0};
  guarded<T> x{525, depth, 1, 1}, w{11 * cols, depth}, v{11 * cols, depth, 2, 3};

  many_groups() {
    numbers next(6);
    fill(x, next), fill(w, next), fill(v, next);
  }

  /// Doubles the sums; a sum that comes twice becomes NaN.
  struct doubled {
    const std::vector<hg::index>& starts;
    hg::view<T> h;  // (525 x whole panels)
    template <class Arch>
    void operator()(hg::index g, hg::index row, hg::index number, const xsimd::batch<T, Arch>& low,
                    const xsimd::batch<T, Arch>& high) const {
      T* const to = h.row(starts[static_cast<std::size_t>(g)] + row) + number * panel<T>;
      const bool first = to[0] == T(7) && to[panel<T> - 1] == T(7);
      (first ? low + low : xsimd::batch<T, Arch>(not_a_number<T>)).store_unaligned(to);
      (first ? high + high : xsimd::batch<T, Arch>(not_a_number<T>)).store_unaligned(to + panel<T> / 2);
    }
  };

  /// C as written by the usual finish; another that doubles it is held against it.
  template <class Executor>
  std::vector<T> run(const Executor& executor) {
    std::vector<T> c(525 * cols, T(7));
    guarded<T> h(525, (cols + panel<T> - 1) / panel<T> * panel<T>);
    h.fill([] { return T(7); });
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
    const std::span<const k::product_group<T, 2>> all(groups);
    k::grouped_product(all, executor, memory, doubled{starts, h.view()});
    k::grouped_product(all, executor, memory);
    bool once = h.guards_are_intact();
    for (hg::index r = 0; r < 525; ++r)
      for (hg::index j = 0; j < cols; ++j)
        once = once && same_bits(h(r, j), 2 * c[static_cast<std::size_t>(r * cols + j)]);
    CHECK(once);
    return c;
  }
};

template <class T>
bool same_numbers(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](T x, T y) { return same_bits(x, y); });
}

}  // namespace

TEMPLATE_TEST_CASE("groups of two parts, empty ones among them, are right and bring each sum once", "[kernels][gemm]",
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

TEMPLATE_TEST_CASE("lists of products that run together give the bits that each gives alone", "[kernels][gemm]",
                   (stored_as<float, float>), (stored_as<float, hg::bf16>)) {
  using T = typename TestType::T;
  using Storage = typename TestType::Storage;
  using group = k::product_group<T, 1, Storage>;
  numbers next(7);
  // A pair of one large expert, two plain products of which one is empty, and a list without products.
  guarded<T> x(120, 100), w(65, 100), v(65, 100), bias(1, 65), u(40, 100);
  fill(x, next), fill(w, next), fill(v, next), fill(bias, next), fill(u, next);
  hg::scratch<Storage> of_pair, of_plain;
  const auto pair = k::pair_times_transposed<T>(x.view(), nullptr, 120, w.view(), v.view(), bias.row(), nullptr);
  const auto plain = k::times_transposed<T>(x.view(), nullptr, u.view(), hg::view<T>(nullptr, 7, 40));
  const group pairs[] = {{packed<Storage>(pair, of_pair)}};
  group plains[] = {{packed<Storage>(plain, of_plain)}, {packed<Storage>(plain, of_plain)}};
  plains[0][0].rows = 0;
  const auto check = [&](const auto& executor) {
    kept_sums<T> a(120, k::panel_count<arch>(pair)), b(7, k::panel_count<arch>(plain));
    const auto of_group = [](hg::index which, auto finish) {
      return [finish, which](hg::index g, hg::index row, hg::index number, const auto& low, const auto& high) {
        if (g == which) finish(row, number, low, high);
      };
    };
    const auto of_a = of_group(0, a.keep()), of_b = of_group(1, b.keep());
    hg::scratch<T> memory;
    k::run_together(executor, memory,
                    k::grouped_work<arch, T, 1, Storage, decltype(of_a)>(pairs, executor.workers(), of_a),
                    k::grouped_work<arch, T, 1, Storage, decltype(of_b)>({}, executor.workers(), of_b),
                    k::grouped_work<arch, T, 1, Storage, decltype(of_b)>(plains, executor.workers(), of_b));
    bool right =
        a.visited_once(0, 120, 0, k::panel_count<arch>(pair)) && b.visited_once(0, 7, 0, k::panel_count<arch>(plain));
    for (hg::index i = 0; i < 120; ++i)
      for (hg::index j = 0; j < 65; ++j)
        right = right && same_bits(a.of(pair, i, j), chained<Storage>(pair, i, j)) &&
                same_bits(a.of(pair, i, j, true), chained<Storage>(pair, i, j, true));
    for (hg::index i = 0; i < 7; ++i)
      for (hg::index j = 0; j < 40; ++j) right = right && same_bits(b.of(plain, i, j), chained<Storage>(plain, i, j));
    CHECK(right);
  };
  check(hg::run_sequentially);
  check(shuffled{3, 5});
  check(hg::thread_pool(2));
}

TEST_CASE("no products at all is a product too", "[kernels][gemm]") {
  hg::scratch<float> memory;
  k::grouped_product(std::span<const k::product_group<float, 1>>(), hg::run_sequentially, memory);
  k::run_together(shuffled{}, memory);
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
