// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/matrix.hpp>
#include <headgate/kernels/combined_product.hpp>
#include <headgate/parallel/thread_pool.hpp>
#include <headgate/reference/combined_product.hpp>

#include "support/product_checks.hpp"
#include "support/shuffled.hpp"

#include <deque>

using namespace headgate_test;

namespace {

const hg::thread_pool& two_threads() {
  static const hg::thread_pool pool(2);
  return pool;
}

/// The terms of a random batch, for the kernel and for the plain loops: a first term that writes every row or none, terms
/// of any number of rows (zero included) that repeat and skip rows, with biases or without, one packed one not.
template <class T, class Storage>
class batch {
 public:
  batch(hg::index tokens, hg::index cols, hg::index depth, bool writes_first, std::uint64_t seed, bool whole)
      : tokens_(tokens), cols_(cols), next_(seed), whole_(whole) {
    if (writes_first) add(tokens, depth, nullptr, false);
    for (const hg::index rows : {hg::index{1}, hg::index{0}, next_.below(2 * tokens + 1), tokens, hg::index{3}})
      add(tokens == 0 ? 0 : rows, depth, &list(rows), true);
  }

  template <class Executor>
  void check(const Executor& executor) {
    guarded<T> y(tokens_, cols_, 1, 3), expected(tokens_, cols_);
    y.fill([] { return not_a_number<T>; });
    hg::scratch<T> memory;
    k::combined_product(std::span<const k::combined_term<T, Storage>>(terms_), y.view(), executor, memory);
    if (whole_)
      hg::reference::combined_product(std::span<const hg::reference::combined_term<T>>(plain_), expected.view());
    else
      combine(expected.view());
    CHECK(same_bits(y.view(), expected.view()));
    CHECK(y.guards_are_intact());
  }

 private:
  const std::vector<hg::index>& list(hg::index count) {
    lists_.emplace_back();
    for (hg::index i = 0; i < count; ++i) lists_.back().push_back(next_.below((std::max)(tokens_, hg::index{1})));
    return lists_.back();
  }
  guarded<T>& numbers_of(hg::index rows, hg::index cols) {
    guarded<T>& m = blocks_.emplace_back(rows, cols, next_.below(3), next_.below(3));
    if (whole_)  // of which float and bf16 hold sums and products exactly
      m.fill([&] { return static_cast<T>(next_.below(9) - 4); });
    else
      m.fill([&] { return through<Storage>(next_.within(T{1})); });
    return m;
  }
  void add(hg::index rows, hg::index depth, const std::vector<hg::index>* to, bool weighted) {
    guarded<T>& x = numbers_of(rows + 2, depth);
    guarded<T>& w = numbers_of(cols_, depth);
    const T* const bias = next_.below(2) ? numbers_of(1, cols_).row() : nullptr;
    const T* const weights = weighted ? numbers_of(1, rows).row() : nullptr;
    const hg::index* x_rows = nullptr;
    if (next_.below(2)) {
      auto& from = lists_.emplace_back();
      for (hg::index i = 0; i < rows; ++i) from.push_back(next_.below(rows + 2));
      x_rows = from.data();
    }
    plain_.push_back({rows, x.view(), x_rows, w.view(), bias, to ? to->data() : nullptr, weights});
    products_.push_back(k::times_transposed<T>(x.view(), x_rows, w.view(), hg::view<T>(nullptr, rows, cols_), bias));
    k::product<T, Storage> p;
    if constexpr (std::is_same_v<T, Storage>)
      p = next_.below(2) ? packed<Storage>(products_.back(), panels_.emplace_back()) : products_.back();
    else
      p = packed<Storage>(products_.back(), panels_.emplace_back());
    terms_.push_back({p, to ? to->data() : nullptr, weights});
  }
  /// The definition with the roundings of the kernels: each product's sum, then one fused multiply-add.
  void combine(hg::view<T> y) {
    if (plain_.empty() || plain_.front().weights)
      for (hg::index t = 0; t < tokens_; ++t) std::fill_n(y.row(t), cols_, T{0});
    for (std::size_t e = 0; e < plain_.size(); ++e)
      for (hg::index i = 0; i < plain_[e].count; ++i)
        for (hg::index j = 0; j < cols_; ++j) {
          T& to = y(plain_[e].rows ? plain_[e].rows[i] : i, j);
          const T sum = chained<T>(products_[e], i, j);
          to = plain_[e].weights ? fused(plain_[e].weights[i], sum, to) : sum;
        }
  }

  hg::index tokens_, cols_;
  numbers next_;
  bool whole_;
  std::deque<guarded<T>> blocks_;
  std::deque<std::vector<hg::index>> lists_;
  std::deque<hg::scratch<Storage>> panels_;
  std::vector<k::product<T>> products_;
  std::vector<k::combined_term<T, Storage>> terms_;
  std::vector<hg::reference::combined_term<T>> plain_;
};

constexpr hg::index odd[] = {1, 3, 17, 63, 100, 257};

}  // namespace

TEMPLATE_TEST_CASE("combined_product equals plain loops on whole numbers for every shape",
                   "[kernels][combined_product]", HEADGATE_TEST_STORAGES) {
  using T = typename TestType::T;
  using Storage = typename TestType::Storage;
  std::uint64_t seed = 0;
  for (const hg::index cols : odd)
    for (const hg::index depth : {0, 1, 3, 17, 63, 100})
      for (const hg::index tokens : {0, 1, 3, 17}) {
        CAPTURE(cols, depth, tokens);
        ++seed;
        batch<T, Storage>(tokens, cols, depth, seed % 2 == 0, seed, true).check(hg::run_sequentially);
      }
}

TEMPLATE_TEST_CASE("combined_product has the bits of its definition with any executor", "[kernels][combined_product]",
                   HEADGATE_TEST_STORAGES) {
  using T = typename TestType::T;
  using Storage = typename TestType::Storage;
  std::uint64_t seed = 100;
  for (const hg::index cols : odd)
    for (const hg::index tokens : {1, 63, 100})
      for (const bool writes_first : {false, true}) {
        const hg::index depth = odd[++seed % 6];
        CAPTURE(cols, depth, tokens, writes_first);
        batch<T, Storage> b(tokens, cols, depth, writes_first, seed, false);
        b.check(hg::run_sequentially);
        b.check(two_threads());
        b.check(shuffled{3, seed});
      }
}

TEMPLATE_TEST_CASE("combined_product carries sums over blocks of rows and of depth", "[kernels][combined_product]",
                   float, double) {
  using T = TestType;
  const hg::index depth = 2 * k::block_memory<arch, T>::block_of_depth() + 3;
  batch<T, T>(30, 2 * panel<T> + 1, depth, true, 7, false).check(shuffled{2, 1});
  batch<T, T>(30, 2 * panel<T> + 1, depth, false, 8, false).check(two_threads());
  batch<T, T>(800, panel<T> - 1, 5, true, 9, false).check(hg::run_sequentially);  // a block has up to 768 rows
  batch<T, T>(800, 3 * panel<T> - 1, 33, false, 10, false).check(two_threads());
}

TEST_CASE("no terms are zeros, and no columns nothing", "[kernels][combined_product]") {
  hg::scratch<float> memory;
  guarded<float> y(5, 3, 1, 2);
  k::combined_product(std::span<const k::combined_term<float>>(), y.view(), hg::run_sequentially, memory);
  CHECK((y(0, 0) == 0 && y(4, 2) == 0 && y.guards_are_intact()));
  batch<float, float>(5, 0, 4, true, 3, true).check(hg::run_sequentially);
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

TEST_CASE("a small combined_product wakes no thread", "[kernels][combined_product]") {
  batch<float, float>(3, 17, 5, true, 3, true).check(forbidden{});
}

TEST_CASE("tasks own whole panels, all of them for one thread, and some for every thread where there are enough",
          "[kernels][combined_product]") {
  for (hg::index panels = 0; panels < 300; ++panels)
    for (const hg::index workers : {1, 2, 3, 16}) {
      CAPTURE(panels, workers);
      const hg::index owned = k::detail::owned_panels(panels, workers);
      if (workers == 1) CHECK(owned == (std::max)(panels, hg::index{1}));
      if (panels > 0) CHECK(owned >= 1);
      if (panels >= workers) CHECK((panels + owned - 1) / owned >= workers);
      if (panels >= 8 * workers) CHECK(owned % (workers == 1 ? 1 : 4) == 0);
    }
}

TEMPLATE_TEST_CASE("an identity adds the rows of its A, column for column, with any executor",
                   "[kernels][combined_product]", float, double) {
  using T = TestType;
  for (const hg::index cols : odd) {
    CAPTURE(cols);
    numbers next(static_cast<std::uint64_t>(cols));
    guarded<T> x(4, cols, 1, 2), start(3, cols), w(3, 1);
    for (auto* m : {&x, &start, &w}) m->fill([&] { return next.within(T{1}); });
    const hg::index from[] = {3, 0, 3}, to[] = {2, 2, 0};
    k::product<T> written;  // of no depth: its bias is what each row starts with
    written.rows = 3, written.cols = cols, written.a_depth_stride = 1, written.bias = start.row();
    written.b = start.row();  // not read
    k::product<T> rows;
    rows.rows = 3, rows.a = x.view().data, rows.a_rows = from, rows.a_row_stride = x.view().stride;
    const T weights[] = {T(0.3), T(-0.7), T(1.9)};
    const k::combined_term<T> terms[] = {{written}, {rows, to, weights, true}};
    hg::matrix<T> expected(3, cols), y(3, cols);
    for (hg::index c = 0; c < cols; ++c) {
      for (hg::index r = 0; r < 3; ++r) expected(r, c) = start.row()[c];
      for (int i = 0; i < 3; ++i) expected(to[i], c) = fused(weights[i], x.view()(from[i], c), expected(to[i], c));
    }
    const auto check = [&](const auto& executor) {
      hg::scratch<T> memory;
      y.setConstant(not_a_number<T>);
      k::combined_product(std::span<const k::combined_term<T>>(terms), hg::view_of(y), executor, memory);
      CHECK(same_bits(hg::view_of(std::as_const(y)), hg::view_of(std::as_const(expected))));
    };
    check(hg::run_sequentially);
    check(two_threads());
    check(shuffled{3, 1});
  }
}
