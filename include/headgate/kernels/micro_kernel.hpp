// SPDX-License-Identifier: BSD-3-Clause
// The innermost tile of the matrix product: a few rows of A times one or more panels of B.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>  // abort_with
#include <headgate/kernels/storage.hpp>
#include <headgate/kernels/unroll.hpp>

#include <xsimd/xsimd.hpp>

#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// True where the processor has 32 vector registers instead of 16.
template <class Arch>
inline constexpr bool has_32_registers =
    std::is_base_of_v<xsimd::avx512f, Arch> || std::is_base_of_v<xsimd::neon64, Arch>;

/// Rows of the largest tile: 6 x 2 accumulators, two vectors of B and one of A fill 16 registers. With 32, 8 x 2 are enough
/// to keep two units busy; 12 x 2 would fit, and every row more is a kernel more to compile.
template <class Arch>
inline constexpr index tile_rows = has_32_registers<Arch> ? 8 : 6;

/// Panels that a tile of so many rows takes at once. Few rows need several, for enough independent sums to hide the latency
/// of an addition and enough streams to keep memory busy. Weights that are converted take registers of their own: with
/// three rows of two panels of bf16 there are too few, and 0.47 of the roofline instead of 0.77.
template <class Arch, class T, class Storage>
[[nodiscard]] constexpr index panels_at_once(index rows) {
  return rows == 1 ? 4 : (std::is_same_v<T, Storage> ? 2 : 3) * rows <= tile_rows<Arch> ? 2 : 1;
}

/// True if a tile of so many panels brings `next` nearer. Four panels are for one row: of whole numbers the hardware follows
/// their streams by itself, and better (floats: 1.0 of the read bandwidth against 0.96, and 0.83 against 0.74 from a cache);
/// of shorter ones it needs help (0.90 against 0.80).
template <class T, class Storage>
[[nodiscard]] constexpr bool looks_ahead(index panels) {
  return panels < 4 || sizeof(Storage) < sizeof(T);
}

/// What one call of the micro-kernel reads. Strides count elements.
template <class T, class Storage = T>
struct micro_operands {
  index depth = 0;
  const T* const* a_rows = nullptr;  ///< A(r, l) = a_rows[r][l * a_stride]
  index a_stride = 0;
  const Storage* panel = nullptr;  ///< step l of panel p at panel + p * panel_stride + l * panel width
  index panel_stride = 0;
  const char* next = nullptr;  ///< brought nearer meanwhile: next + p * next_panel_stride + l * next_step, in bytes
  index next_panel_stride = 0;
  index next_step = 0;
  const T* start = nullptr;  ///< sums of row r and panel p begin at start[r * start_stride + p * panel width ...]
  index start_stride = 0;
};

/// finish(r, p, low, high) for every row r < Rows and panel p < Panels, low and high being the two vectors of
///
///   start + sum over l of A(r, l) * step l of panel p
///
/// Each element is one sum that adds its products in the order l = 0, 1, 2 ... with fused multiply-adds, whatever Rows and
/// Panels are: that is why a token's result does not depend on how many tokens share its tile.
template <class Arch, std::size_t Rows, std::size_t Panels, class T, class Storage, class Finish>
HEADGATE_NEVER_INLINE void micro_kernel(const micro_operands<T, Storage>& operands, const Finish& finish) {
  using batch = xsimd::batch<T, Arch>;
  constexpr index lanes = static_cast<index>(batch::size);
  constexpr index width = panel_width<Arch, T>;
  constexpr bool prefetches = looks_ahead<T, Storage>(static_cast<index>(Panels));

  const micro_operands<T, Storage> m = operands;
  batch low[Rows][Panels], high[Rows][Panels];
  const T* a[Rows];
  unroll<Rows>([&](auto r) __attribute__((always_inline)) {
    a[r] = m.a_rows[r];
    unroll<Panels>([&](auto p) __attribute__((always_inline)) {
      const T* const from = m.start + static_cast<index>(r()) * m.start_stride + static_cast<index>(p()) * width;
      low[r][p] = batch::load_unaligned(from);
      high[r][p] = batch::load_unaligned(from + lanes);
    });
  });

  const Storage* panel = m.panel;
  const char* next = m.next;
  index at = 0;
  const auto step = [&]() __attribute__((always_inline)) {
    unroll<Panels>([&](auto p) __attribute__((always_inline)) {
      // Panel by panel, so that two vectors of B are alive and not two for each panel: 16 registers hold no more.
      batch b_low, b_high;
      panel_storage<Arch, T, Storage>::load(panel + static_cast<index>(p()) * m.panel_stride, b_low, b_high);
      if constexpr (prefetches) HEADGATE_PREFETCH(next + static_cast<index>(p()) * m.next_panel_stride);
      unroll<Rows>([&](auto r) __attribute__((always_inline)) {
        const batch value(a[r][at]);
        low[r][p] = xsimd::fma(value, b_low, low[r][p]);
        high[r][p] = xsimd::fma(value, b_high, high[r][p]);
      });
    });
    panel += width;
    if constexpr (prefetches) next += m.next_step;
    at += m.a_stride;
  };
  for (index l = 0; l < m.depth; ++l) step();

  unroll<Rows>([&](auto r) __attribute__((always_inline)) {
    unroll<Panels>([&](auto p) __attribute__((always_inline)) {
      finish(static_cast<index>(r()), static_cast<index>(p()), low[r][p], high[r][p]);
    });
  });
}

/// `micro_kernel` for numbers known at run time: 1 <= rows <= tile_rows, and panels_at_once(rows) panels or one.
template <class Arch, class T, class Storage, class Finish,
          std::size_t Rows = static_cast<std::size_t>(tile_rows<Arch>)>
void micro_kernel_for(index rows, index panels, const micro_operands<T, Storage>& operands, const Finish& finish) {
  constexpr index most = panels_at_once<Arch, T, Storage>(static_cast<index>(Rows));
  HEADGATE_ASSERT(rows >= 1 && rows <= static_cast<index>(Rows), "micro_kernel_for: the rows do not fit a tile");
  if constexpr (Rows > 1)
    if (rows < static_cast<index>(Rows))
      return micro_kernel_for<Arch, T, Storage, Finish, Rows - 1>(rows, panels, operands, finish);
  HEADGATE_ASSERT(panels == 1 || panels == most, "micro_kernel_for: no tile of so many rows has so many panels");
  if constexpr (most > 1)
    if (panels == most) return micro_kernel<Arch, Rows, static_cast<std::size_t>(most)>(operands, finish);
  micro_kernel<Arch, Rows, 1>(operands, finish);
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
