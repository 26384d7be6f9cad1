// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/sorted_columns.hpp>

#include <algorithm>
#include <array>
#include <functional>
#include <vector>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

namespace {

/// The `count` largest of a row, largest first, -inf where it has fewer.
template <class T>
std::vector<T> largest(const T* row, hg::index n, hg::index count) {
  std::vector<T> all(row, row + n);
  all.resize(static_cast<std::size_t>((std::max)(n, count)), -infinity<T>);
  std::sort(all.begin(), all.end(), std::greater<>());
  all.resize(static_cast<std::size_t>(count));
  return all;
}

/// What the lanes of transposed() hold, all vectors of it together.
template <hg::index Depth, class T>
std::vector<T> list_of(const k::sorted_columns<Depth, T, xsimd::default_arch>& columns, hg::index count) {
  std::vector<T> list;
  for (hg::index first = 0; first < Depth; first += width<T>) {
    std::array<T, xsimd::batch<T>::size> lane;
    columns.transposed(first, count).store_unaligned(lane.data());
    list.insert(list.end(), lane.begin(), lane.end());
  }
  return list;
}

template <hg::index Depth, class T>
bool merges_right(const T* row, hg::index n, hg::index count) {
  const std::vector<T> expected = largest(row, n, Depth);
  k::sorted_columns<Depth, T, xsimd::default_arch> columns(row, n);
  const auto least = columns.merge_lanes(count);
  std::vector<T> list = list_of(columns, count);
  for (std::size_t i = Depth; i < list.size(); ++i)
    if (list[i] != -infinity<T>) return false;
  list.resize(static_cast<std::size_t>(Depth));
  if (count == Depth) std::sort(list.begin(), list.end(), std::greater<>());
  if (list != expected) return false;
  for (std::size_t lane = 0; lane < xsimd::batch<T>::size; ++lane)
    if (least.get(lane) != expected[static_cast<std::size_t>(count - 1)]) return false;
  return true;
}

template <hg::index Depth, class T>
void check_depth() {
  numbers next(static_cast<std::uint64_t>(Depth));
  for (hg::index n = 1; n <= 2 * Depth * width<T> + width<T> + 1; n += 1 + n / 40)
    for (const hg::index values : {hg::index{3}, hg::index{1000}}) {
      guarded<T> row(1, n, n % 5);
      row.fill([&] { return static_cast<T>(next.below(values)) - T{1}; });
      for (const hg::index count : {hg::index{1}, (Depth + 1) / 2, Depth}) {
        CAPTURE(n, values, count);
        REQUIRE(merges_right<Depth>(row.row(), n, count));
      }
    }
}

}  // namespace

TEMPLATE_TEST_CASE("sorted_columns finds the largest numbers of a row for every depth and length",
                   "[kernels][sorted_columns]", float, double) {
  check_depth<1, TestType>();
  check_depth<2, TestType>();
  check_depth<4, TestType>();
  check_depth<8, TestType>();
  check_depth<16, TestType>();
}

TEST_CASE("the networks sort every row of zeros and ones, hence every row", "[kernels][sorted_columns]") {
  // Knuth's zero-one principle. Eight places: all 256 rows, one in each lane.
  using batch = xsimd::batch<float>;
  for (std::uint32_t bits = 0; bits < 256; ++bits) {
    std::vector<float> row(8 * batch::size, 0.0f);
    for (std::size_t place = 0; place < 8; ++place)
      for (std::size_t lane = 0; lane < batch::size; ++lane)
        row[place * batch::size + lane] = static_cast<float>((bits + static_cast<std::uint32_t>(lane)) >> place & 1);
    REQUIRE(merges_right<8>(row.data(), static_cast<hg::index>(row.size()), 7));
  }
}
