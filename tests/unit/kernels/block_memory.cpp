// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/kernels/block_memory.hpp>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace k = headgate::kernels;
using namespace headgate_test;

TEMPLATE_TEST_CASE("a block's memory holds any block of the rows and depth it was made for", "[kernels][block_memory]",
                   float, double) {
  using T = TestType;
  using memory = k::block_memory<xsimd::default_arch, T>;
  constexpr hg::index tile = 6;
  for (const hg::index rows : {1, 5, 24, 100, 768, 5000})
    for (const hg::index depth : {1, 17, 257, 2048, 30000}) {
      const memory m(nullptr, rows, depth);
      const hg::index room = m.panels - m.rows;
      bool fits = true;
      for (hg::index d = 1; d <= depth; d += 1 + d / 7) {  // of some of the rows, and with some of the depth
        for (const bool packs_panels : {false, true}) {
          const hg::index block =
              (std::min)(rows, k::row_block(d * static_cast<hg::index>(sizeof(T)), tile, packs_panels));
          fits = fits && block * k::spread_stride<T>(d) <= room && d * k::spread_stride<T>(block) <= room;
          fits = fits && (block + 1) * memory::group * memory::width <= memory::size(rows, depth) - (m.sums - m.rows);
        }
      }
      CAPTURE(rows, depth, room);
      CHECK(fits);
      CHECK((m.start - m.rows) + memory::group * memory::width == memory::size(rows, depth));
      CHECK(m.sums - m.panels == memory::group * memory::width * memory::block_of_depth());
    }
}

TEST_CASE("a block's memory grows with the rows and the depth, but not without end", "[kernels][block_memory]") {
  using memory = k::block_memory<xsimd::default_arch, float>;
  hg::index before = 0;
  for (const hg::index rows : {1, 2, 50, 767, 768}) {
    CHECK(memory::size(rows, 100) > before);
    before = memory::size(rows, 100);
  }
  CHECK(memory::size(100000, 100) == before);
  CHECK(memory::size(768, 0) < memory::size(768, 1));  // nothing to copy, no room for it
}
