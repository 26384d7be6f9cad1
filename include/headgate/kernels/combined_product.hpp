// SPDX-License-Identifier: BSD-3-Clause
// The experts' last product and the combination in one: each task owns some columns of y and adds expert after expert.
#pragma once

#include <headgate/concepts/executor.hpp>
#include <headgate/config.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/core/view.hpp>
#include <headgate/kernels/block_product.hpp>
#include <headgate/kernels/elementwise.hpp>
#include <headgate/kernels/gemm.hpp>  // smallest_parallel_work
#include <headgate/kernels/product.hpp>
#include <headgate/kernels/store_panel.hpp>
#include <headgate/parallel/sequential.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>
#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// One expert's share of y: row i of its product goes to row rows[i] of y (row i if null) with weight weights[i]. A null list
/// of weights means that the row is not added but written: it comes first.
template <class T, class Storage = T>
struct combined_term {
  kernels::product<T, Storage> product;  ///< its C is not used
  const index* rows = nullptr;
  const T* weights = nullptr;
  bool is_identity = false;  ///< adds rows of A (as many columns as y) in the place of a product; needs weights
};

namespace detail {

/// Columns [first_col, last_col) of a term without a product.
template <class Arch, class T, class Storage>
void add_identity(const combined_term<T, Storage>& term, index first_col, index last_col, view<T> y) {
  const product<T, Storage>& p = term.product;
  for (index i = 0; i < p.rows; ++i)
    axpy_row<Arch>(term.weights[i], p.a + (p.a_rows ? p.a_rows[i] : i) * p.a_row_stride + first_col,
                   y.row(term.rows ? term.rows[i] : i) + first_col, last_col - first_col);
}

/// y[col ...] += weight * values, one fused multiply-add for each element, as far as the row of `cols` elements reaches.
template <class T, class Arch>
HEADGATE_ALWAYS_INLINE void add_lanes(T* y, index col, index cols, T weight, const xsimd::batch<T, Arch>& values) {
  using batch = xsimd::batch<T, Arch>;
  constexpr index lanes = static_cast<index>(batch::size);
  const batch factor(weight);
  if (col + lanes <= cols) {
    xsimd::fma(factor, values, batch::load_unaligned(y + col)).store_unaligned(y + col);
  } else if (col < cols) {
    alignas(alignment) T edge[static_cast<std::size_t>(lanes)] = {};
    std::copy_n(y + col, cols - col, edge);
    xsimd::fma(factor, values, batch::load_aligned(edge)).store_aligned(edge);
    std::copy_n(edge, cols - col, y + col);
  }
}

/// The finish of a term's product. Not a lambda: its type, and with it every micro-kernel, would be another for each executor.
template <class T, class Storage>
struct add_term {
  const combined_term<T, Storage>& term;
  view<T> y;
  template <class Arch>
  HEADGATE_ALWAYS_INLINE void operator()(index i, index panel, const xsimd::batch<T, Arch>& low,
                                         const xsimd::batch<T, Arch>& high) const {
    constexpr index width = panel_width<Arch, T>;
    T* const to = y.row(term.rows ? term.rows[i] : i);
    const index col = panel * width;
    if (!term.weights) return store_panel(to, col, y.cols, low, high);
    add_lanes(to, col, y.cols, term.weights[i], low);
    add_lanes(to, col + width / 2, y.cols, term.weights[i], high);
  }
};

/// Panels of y that one task owns: sixteen tasks for each thread, but tasks of whole groups of panels where there are enough.
[[nodiscard]] inline index owned_panels(index panels, index workers) {
  if (workers == 1) return (std::max)(panels, index{1});
  const index share = (panels + tasks_per_worker * workers - 1) / (tasks_per_worker * workers);
  const index group = panels >= 8 * workers ? 4 : panels >= 4 * workers ? 2 : 1;
  return (share + group - 1) / group * group;
}

}  // namespace detail

/// y_t = sum over the terms, in order, and their rows i with rows[i] = t, of weights[i] * (A B [+ bias])_i, or weights[i] * A_i
///
/// y (tokens x cols); a first term without weights is where the sum starts, else it starts at zero. No two tasks write to the
/// same columns: there are no atomics, the products of all experts never lie in memory at once, and a token's bits do not
/// depend on the executor or on its neighbours. `working_memory` grows to (workers x one block) and is then reused.
template <class Arch = xsimd::default_arch, class T, class Storage, executor Executor>
void combined_product(std::span<const combined_term<T, Storage>> terms, view<T> y, const Executor& executor,
                      scratch<T>& working_memory) {
  constexpr index width = panel_width<Arch, T>;
  index work = 0, rows = 0, depth = 0;
  for (const auto& term : terms) {
    const product<T, Storage>& p = term.product;
    work += p.rows * p.cols * p.depth;
    rows += p.rows;
    depth = (std::max)(depth, depth_to_pack(p));
  }
  const bool is_small = work < detail::smallest_parallel_work;
  const index workers = is_small ? 1 : static_cast<index>(executor.workers());
  const index panels = (y.cols + width - 1) / width;
  const index owned = detail::owned_panels(panels, workers);
  working_memory.resize(workers, block_memory<Arch, T>::size(rows, depth));

  const auto run_task = [&](index task, index worker) {
    const block_memory<Arch, T> memory(working_memory.row(worker), rows, depth);
    const index first_panel = task * owned;
    const index last_panel = (std::min)(first_panel + owned, panels);
    if (terms.empty() || terms.front().weights)
      for (index t = 0; t < y.rows; ++t)
        std::fill(y.row(t) + first_panel * width, y.row(t) + (std::min)(last_panel * width, y.cols), T{0});
    for (const combined_term<T, Storage>& term : terms) {
      const product<T, Storage>& p = term.product;
      if (term.is_identity) {
        detail::add_identity<Arch>(term, first_panel * width, (std::min)(last_panel * width, y.cols), y);
        continue;
      }
      const index block = rows_in_block<Arch>(p);
      for (index row = 0; row < p.rows; row += block)
        block_product<Arch>(p, row, (std::min)(row + block, p.rows), first_panel, last_panel, memory,
                            detail::add_term<T, Storage>{term, y});
    }
  };
  const index tasks = (panels + owned - 1) / owned;
  if (is_small)
    run_sequentially.run(tasks, run_task);
  else
    executor.run(tasks, run_task);
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
