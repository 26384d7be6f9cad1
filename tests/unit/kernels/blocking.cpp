// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/blocking.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

TEST_CASE("the sizes of the caches are those of a processor", "[kernels][blocking]") {
  CHECK(k::caches().first >= 8 << 10);
  CHECK(k::caches().second >= 64 << 10);
  CHECK(&k::caches() == &k::caches());  // asked once
}

TEST_CASE("a block of depth is a multiple of 8 that fills two thirds of the first cache, and never tiny",
          "[kernels][blocking]") {
  for (const hg::index step : {1, 16, 64, 100, 128, 256, 512, 4096, 1 << 20}) {
    CAPTURE(step);
    const hg::index depth = k::depth_block(step);
    CHECK(depth % 8 == 0);
    CHECK(depth >= 64);
    if (depth > 64) CHECK(3 * depth * step <= 2 * k::caches().first);
    CHECK(3 * (depth + 8) * step > 2 * k::caches().first);  // eight more would not fit
  }
}

TEST_CASE("a block of rows fits half of the second cache and is made of whole tiles, from 24 rows to 768",
          "[kernels][blocking]") {
  for (const hg::index tile : {6, 12})
    for (const hg::index bytes : {0, 1, 60, 256, 4096, 8192, 16384, 1 << 20, 1 << 30}) {
      CAPTURE(tile, bytes);
      const hg::index rows = k::row_block(bytes, tile);
      CHECK(rows % tile == 0);
      CHECK((rows >= 24 && rows <= 768));
      if (rows > 24) CHECK(2 * rows * bytes <= k::caches().second);
      if (rows + tile <= 768) CHECK(2 * (rows + tile) * bytes > k::caches().second);
    }
}

TEMPLATE_TEST_CASE("a spread row has room for whole panels and an odd number of cache lines", "[kernels][blocking]",
                   float, double) {
  using T = TestType;
  constexpr auto line = static_cast<hg::index>(64 / sizeof(T));
  for (hg::index cols = 0; cols <= 700; ++cols) {
    const hg::index stride = k::spread_stride<T>(cols);
    const bool right =
        stride % line == 0 && stride / line % 2 == 1 && stride >= (cols + 2 * line - 1) / (2 * line) * 2 * line;
    CAPTURE(cols, stride);
    if (!right || stride > cols + 3 * line) CHECK(false);
  }
}

TEMPLATE_TEST_CASE("a spread block is found again where it was made, each row on a cache line", "[kernels][blocking]",
                   float, double) {
  using T = TestType;
  hg::scratch<T> memory;
  for (const hg::index rows : {0, 1, 3, 17})
    for (const hg::index cols : {1, 3, 17, 63, 100, 257}) {
      CAPTURE(rows, cols);
      const hg::view<T> made = k::resize_spread(memory, rows, cols);
      const hg::view<T> found = k::spread_block(memory, cols);
      CHECK((made.rows == rows && made.cols == cols && made.stride == k::spread_stride<T>(cols)));
      CHECK((found.data == made.data && found.rows == rows && found.cols == cols && found.stride == made.stride));
      CHECK(memory.size() == rows * made.stride);
      for (hg::index r = 0; r < rows; ++r) CHECK(reinterpret_cast<std::uintptr_t>(made.row(r)) % 64 == 0);
    }
}
