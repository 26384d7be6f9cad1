// SPDX-License-Identifier: BSD-3-Clause
// What tests of the matrix product share: the sum of one element as every kernel must form it, to the bit.
#pragma once

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

#include <headgate/core/bf16.hpp>
#include <headgate/core/fp16.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/kernels/panels.hpp>
#include <headgate/kernels/product.hpp>
#include <headgate/kernels/storage.hpp>

#include <xsimd/xsimd.hpp>

#include <vector>

namespace headgate_test {

namespace k = headgate::kernels;
using arch = xsimd::default_arch;

/// Columns of a panel, of either storage.
template <class T>
inline constexpr hg::index panel = k::panel_width<arch, T>;

/// A scalar and how weights of it are stored.
template <class Scalar, class Stored>
struct stored_as {
  using T = Scalar;
  using Storage = Stored;
};
#define HEADGATE_TEST_STORAGES \
  (stored_as<float, float>), (stored_as<double, double>), (stored_as<float, hg::bf16>), (stored_as<float, hg::fp16>)

/// w as Storage holds it.
template <class Storage, class T>
T through(T w) {
  return static_cast<T>(static_cast<Storage>(w));
}

/// a * b + c as kernels compute it: rounded once where the instruction set can.
template <class T>
T fused(T a, T b, T c) {
  using batch = xsimd::batch<T>;
  return xsimd::fma(batch(a), batch(b), batch(c)).get(0);
}

/// A(i, l) and B(l, j) as the comment of `product` defines them.
template <class T, class Storage>
T left(const k::product<T, Storage>& p, hg::index i, hg::index l) {
  return p.a[(p.a_rows ? p.a_rows[i] : i) * p.a_row_stride + l * p.a_depth_stride];
}
template <class T, class Storage>
T right(const k::product<T, Storage>& p, const T* b, hg::index l, hg::index j) {
  return b[(p.b_rows ? p.b_rows[l] : l) * p.b_depth_stride + j * p.b_col_stride];
}

/// An element of C, weights taken through Storage: from its start value, products added in the order of depth. `second`:
/// of the pair's second product. `p` has its b.
template <class Storage, class T>
T chained(const k::product<T>& p, hg::index i, hg::index j, bool second = false) {
  const T* const bias = second ? p.bias_pair : p.bias;
  const T* const b = second ? p.b_pair : p.b;
  T sum = p.accumulate ? p.c[i * p.c_stride + j] : bias ? bias[j] : T{0};
  for (hg::index l = 0; l < p.depth; ++l) sum = fused(left(p, i, l), through<Storage>(right(p, b, l, j)), sum);
  return sum;
}

/// p with its B packed as Storage into `memory`, and nothing left of where it came from.
template <class Storage, class T>
k::product<T, Storage> packed(const k::product<T>& p, hg::scratch<Storage>& memory) {
  memory.resize(1, k::packed_size<arch, T>(p.cols, p.depth, p.paired));
  k::pack_panels<arch>(p, memory.data());
  k::product<T, Storage> q;
  q.rows = p.rows, q.cols = p.cols, q.depth = p.depth;
  q.a = p.a, q.a_rows = p.a_rows, q.a_row_stride = p.a_row_stride, q.a_depth_stride = p.a_depth_stride;
  q.c = p.c, q.c_stride = p.c_stride;
  q.bias = p.bias, q.bias_pair = p.bias_pair, q.paired = p.paired, q.accumulate = p.accumulate;
  q.panels = memory.data();
  return q;
}

/// Fills m with numbers in [-1, 1).
template <class T>
void fill(guarded<T>& m, numbers& next) {
  m.fill([&] { return next.within(T{1}); });
}

/// A finish that keeps all sums, those beyond the last column too, and counts how often each is brought.
template <class T>
struct kept_sums {
  guarded<T> low_and_high;  // (rows x panels * width)
  guarded<float> visits;    // (rows x panels)

  kept_sums(hg::index rows, hg::index panels) : low_and_high(rows, panels * panel<T>), visits(rows, panels) {
    visits.fill([] { return 0.0F; });
  }

  /// What `block_product` takes; copied freely.
  struct finish {
    hg::view<T> sums;
    hg::view<float> visits;
    template <class Arch>
    void operator()(hg::index row, hg::index p, const xsimd::batch<T, Arch>& low,
                    const xsimd::batch<T, Arch>& high) const {
      low.store_unaligned(sums.row(row) + p * panel<T>);
      high.store_unaligned(sums.row(row) + p * panel<T> + panel<T> / 2);
      visits(row, p) += 1.0F;
    }
  };
  [[nodiscard]] finish keep() { return {low_and_high.view(), visits.view()}; }

  /// Element (i, j) of C; `second`: of the pair's second.
  template <class Product>
  T of(const Product& p, hg::index i, hg::index j, bool second = false) {
    const hg::index per_panel = p.paired ? panel<T> / 2 : panel<T>;
    return low_and_high(i, j / per_panel * panel<T> + j % per_panel + (second ? per_panel : 0));
  }
  /// True if rows x panels of the given ranges came once and no others did.
  bool visited_once(hg::index first_row, hg::index last_row, hg::index first_panel, hg::index last_panel) {
    for (hg::index r = 0; r < visits.view().rows; ++r)
      for (hg::index v = 0; v < visits.view().cols; ++v) {
        const bool inside = r >= first_row && r < last_row && v >= first_panel && v < last_panel;
        if (visits(r, v) != (inside ? 1.0F : 0.0F)) return false;
      }
    return low_and_high.guards_are_intact() && visits.guards_are_intact();
  }
};

}  // namespace headgate_test
