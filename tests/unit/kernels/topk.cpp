// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/topk.hpp>
#include <headgate/reference/topk.hpp>

#include <algorithm>
#include <numeric>
#include <vector>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

namespace {

/// Where every element of the row ranks: a stable sort, which leaves ties in the order of their indices.
template <class T>
std::vector<hg::index> ranking(const T* s, hg::index n) {
  std::vector<hg::index> ids(static_cast<std::size_t>(n));
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(), [s](hg::index a, hg::index b) {
    if (std::isnan(s[a]) || std::isnan(s[b])) return !std::isnan(s[a]) && std::isnan(s[b]);
    return s[a] > s[b];
  });
  return ids;
}

/// True if topk_row finds the first k of the ranking for every k, and writes nothing else.
template <class T>
bool finds_every_k(const T* s, hg::index n) {
  const auto expected = ranking(s, n);
  for (hg::index count = 0; count <= n; ++count) {
    std::vector<hg::index> ids(static_cast<std::size_t>(count) + 1, -7);
    k::topk_row(s, n, count, ids.data());
    if (!std::equal(ids.begin(), ids.end() - 1, expected.begin()) || ids.back() != -7) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("topk_row gives the largest first and ties to the lower index", "[kernels][topk]") {
  const float s[] = {1, 5, 3, 5, -2, 3, 5};
  hg::index ids[7];
  k::topk_row(s, 7, 5, ids);
  CHECK(std::vector<hg::index>(ids, ids + 5) == std::vector<hg::index>{1, 3, 6, 2, 5});
}

TEMPLATE_TEST_CASE("topk_row finds the head of a stable sort for every length and k", "[kernels][topk]", float,
                   double) {
  numbers next(1);
  for (hg::index n = 0; n <= 3 * width<TestType> + 20; ++n) {
    guarded<TestType> s(1, n, n % width<TestType>);
    s.fill([&] { return next.within(TestType{1}); });
    REQUIRE(finds_every_k(s.row(), n));
  }
}

TEMPLATE_TEST_CASE("topk_row finds the head of a stable sort among many ties", "[kernels][topk]", float, double) {
  numbers next(2);
  for (const hg::index values : {hg::index{1}, hg::index{2}, hg::index{4}})
    for (hg::index n = 0; n <= 3 * width<TestType> + 20; ++n) {
      guarded<TestType> s(1, n, 1);
      s.fill([&] { return static_cast<TestType>(next.below(values)); });
      REQUIRE(finds_every_k(s.row(), n));
    }
}

TEMPLATE_TEST_CASE("topk_row finds the head of a stable sort in rising and falling rows", "[kernels][topk]", float,
                   double) {
  for (hg::index n = 0; n <= 3 * width<TestType> + 20; ++n) {
    guarded<TestType> rising(1, n), falling(1, n);
    TestType value = 0;
    rising.fill([&] { return ++value; });
    falling.fill([&] { return --value; });
    REQUIRE(finds_every_k(rising.row(), n));
    REQUIRE(finds_every_k(falling.row(), n));
  }
}

TEMPLATE_TEST_CASE("topk_row ranks denormals, zeros, infinities and, lowest, NaN", "[kernels][topk]", float, double) {
  numbers next(3);
  for (int repeat = 0; repeat < 20; ++repeat)
    for (hg::index n = 0; n <= 3 * width<TestType> + 4; ++n) {
      guarded<TestType> s(1, n);
      s.fill([&] { return next.template awkward<TestType>(); });
      REQUIRE(finds_every_k(s.row(), n));
    }
}

TEMPLATE_TEST_CASE("topk_row gives valid and distinct ids for a row of NaN", "[kernels][topk]", float, double) {
  for (hg::index n = 0; n <= 3 * width<TestType> + 20; ++n) {
    guarded<TestType> s(1, n);
    s.fill([] { return not_a_number<TestType>; });
    REQUIRE(finds_every_k(s.row(), n));  // 0, 1, 2 ...: all are ties
  }
}

TEMPLATE_TEST_CASE("topk_row of a permuted row gives the permuted ids", "[kernels][topk]", float, double) {
  numbers next(4);
  for (const hg::index n : {hg::index{5}, hg::index{64}, hg::index{300}})
    for (const hg::index count : {hg::index{1}, hg::index{5}, n / 2, n}) {
      std::vector<TestType> s(static_cast<std::size_t>(n)), permuted(s);
      for (hg::index i = 0; i < n; ++i)
        s[static_cast<std::size_t>(i)] = static_cast<TestType>(i) * TestType(0.25);  // no ties
      std::vector<hg::index> to(s.size());
      std::iota(to.begin(), to.end(), 0);
      for (hg::index i = n - 1; i > 0; --i)
        std::swap(to[static_cast<std::size_t>(i)], to[static_cast<std::size_t>(next.below(i + 1))]);
      for (std::size_t i = 0; i < s.size(); ++i) permuted[static_cast<std::size_t>(to[i])] = s[i];
      std::vector<hg::index> ids(static_cast<std::size_t>(count));
      k::topk_row(permuted.data(), n, count, ids.data());
      for (hg::index i = 0; i < count; ++i)
        REQUIRE(ids[static_cast<std::size_t>(i)] == to[static_cast<std::size_t>(n - 1 - i)]);
    }
}

TEMPLATE_TEST_CASE("topk_row finds the head of a stable sort for a large k", "[kernels][topk]", float, double) {
  numbers next(5);
  for (const hg::index n : {hg::index{90}, hg::index{1000}}) {
    guarded<TestType> s(1, n, 1);
    for (int kind = 0; kind < 4; ++kind) {
      TestType value = 0;
      s.fill([&] {
        switch (kind) {
          case 0:
            return next.within(TestType{1});
          case 1:
            return static_cast<TestType>(next.below(3));
          case 2:
            return ++value;
          default:
            return next.template awkward<TestType>();
        }
      });
      REQUIRE(finds_every_k(s.row(), n));
    }
  }
}

TEMPLATE_TEST_CASE("topk_row agrees with the plain search in rows of many vectors, whatever stands in them",
                   "[kernels][topk]", float, double) {
  numbers next(6);
  for (const hg::index n : {33, 63, 64, 65, 100, 127, 128, 129, 193, 256, 300})
    for (int kind = 0; kind < 5; ++kind)
      for (const hg::index count : {1, 2, 3, 4, 5, 8, 9, 16, 17}) {
        guarded<TestType> s(1, n, n % 3);
        s.fill([&] {
          const TestType value = next.within(TestType{1});
          if (kind == 1) return next.below(n) < 3 ? not_a_number<TestType> : value;  // some NaN
          if (kind == 2) return next.below(n) < 6 ? value : -infinity<TestType>;     // nearly all masked
          if (kind == 3) return std::floor(value * TestType{20});                    // ties
          if (kind == 4) return next.below(n) < 6 ? value : not_a_number<TestType>;  // nearly all NaN
          return value;
        });
        std::vector<hg::index> ids(static_cast<std::size_t>(count) + 1, -7), expected = ids;
        hg::reference::topk_row(s.row(), n, count, expected.data());
        k::topk_row(s.row(), n, count, ids.data());
        CAPTURE(n, kind, count);
        REQUIRE(ids == expected);
      }
}

TEMPLATE_TEST_CASE("topk_row finds the head of a stable sort beside a NaN in every place", "[kernels][topk]", float,
                   double) {
  numbers next(7);
  for (const hg::index n : {width<TestType> - 1, width<TestType>, 2 * width<TestType>, 4 * width<TestType> + 3})
    for (hg::index place = 0; place < n; ++place) {
      guarded<TestType> s(1, n, 1);
      s.fill([&] { return next.within(TestType{1}); });
      s(0, place) = not_a_number<TestType>;
      REQUIRE(finds_every_k(s.row(), n));
    }
}

TEST_CASE("topk_rows writes k ids for each row and skips what lies between the rows", "[kernels][topk]") {
  guarded<float> s(3, 4, 1, 5);
  const float values[3][4] = {{1, 2, 3, 4}, {4, 3, 2, 1}, {0, 9, 9, 0}};
  for (hg::index r = 0; r < 3; ++r) std::copy_n(values[r], 4, s.row(r));
  std::vector<hg::index> ids(7, -7);
  k::topk_rows(s.view(), 2, ids.data());
  CHECK(ids == std::vector<hg::index>{3, 2, 0, 1, 1, 2, -7});
}
