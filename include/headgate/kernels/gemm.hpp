// SPDX-License-Identifier: BSD-3-Clause
// The library's only matrix product: all experts of a layer in one call, over a flat pool of tiles.
#pragma once

#include <headgate/concepts/executor.hpp>
#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/kernels/micro_kernel.hpp>
#include <headgate/kernels/product.hpp>
#include <headgate/parallel/sequential.hpp>

#include <array>
#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// Products that are computed tile by tile together: gate and up projection of a GLU, or two terms of one sum. All
/// parts of a group have the same rows and cols; they run in order, so a later one may add to an earlier one's C.
template <class T, std::size_t Parts>
using product_group = std::array<product<T>, Parts>;

namespace detail {

/// Depth packed at a time: 512 floats of a panel are 32 KiB, the size of a first-level cache.
inline constexpr index depth_block = 512;

/// Rows of C in one task: enough to pay for packing the panel, few enough that one hot expert is many tasks.
inline constexpr index task_rows = 24 * tile_rows;

/// Below so many multiply-adds waking a second thread costs more than it gains.
inline constexpr index smallest_parallel_work = index{1} << 16;

template <class Arch, class T>
index task_count(const product<T>& p) {
  constexpr index width = panel_width<Arch, T>;
  return ((p.rows + task_rows - 1) / task_rows) * ((p.cols + width - 1) / width);
}

/// Rows [first_row, last_row) and one panel of columns of C.
template <class Arch, class T>
void product_tile(const product<T>& p, index first_row, index last_row, index col, T* packed) {
  if (p.depth == 0 && p.accumulate) return;  // an expert without a token: its gradient is not even read
  constexpr index width = panel_width<Arch, T>;
  const index cols = (std::min)(width, p.cols - col);
  start_from start = p.accumulate ? start_from::c : p.bias ? start_from::bias : start_from::zero;
  index first = 0;
  do {  // at least once: an empty sum still writes its start value
    const index last = (std::min)(first + depth_block, p.depth);
    const T* panel = packed;
    if (p.panels)
      panel = p.panels + col * p.depth + first * width;
    else
      pack_panel<Arch>(p, col, first, last, packed);
    for (index row = first_row; row < last_row; row += tile_rows) {
      const index rows = (std::min)(tile_rows, last_row - row);
      const T* a[tile_rows];
      T* c[tile_rows];
      for (index r = 0; r < rows; ++r) {
        a[r] = p.a + (p.a_rows ? p.a_rows[row + r] : row + r) * p.a_row_stride + first * p.a_depth_stride;
        c[r] = p.c + (row + r) * p.c_stride + col;
      }
      micro_kernel_for<Arch, T>(rows, last - first, static_cast<const T* const*>(a), p.a_depth_stride, panel,
                                static_cast<T* const*>(c), cols, start, p.bias ? p.bias + col : nullptr);
    }
    start = start_from::c;  // storing and reloading an accumulator changes no bit of it
    first = last;
  } while (first < p.depth);
}

}  // namespace detail

/// Nothing to do after a tile.
struct no_epilogue {
  void operator()(index /*group*/, index /*first_row*/, index /*last_row*/, index /*first_col*/,
                  index /*last_col*/) const {}
};

/// Computes all groups. After a tile is complete, epilogue(group, first_row, last_row, first_col, last_col) runs on the
/// same thread while the tile is in cache. Groups, rows and columns of any number, zero included.
///
/// The bits of an element of C do not depend on the executor, the other rows or the blocking (see micro_kernel).
/// `working_memory` grows to (workers x panel) and is then reused.
template <class Arch = xsimd::default_arch, class T, std::size_t Parts, executor Executor, class Epilogue = no_epilogue>
void grouped_product(std::span<const product_group<T, Parts>> groups, const Executor& executor,
                     scratch<T>& working_memory, const Epilogue& epilogue = {}) {
  constexpr index width = panel_width<Arch, T>;
  index tasks = 0;
  index work = 0;
  for (const auto& group : groups) {
    tasks += detail::task_count<Arch>(group[0]);
    for (const auto& p : group) work += p.rows * p.cols * p.depth;
  }
  const auto run_task = [&](index task, index worker) {
    std::size_t g = 0;
    for (index count; task >= (count = detail::task_count<Arch>(groups[g][0])); ++g) task -= count;
    const product<T>& shape = groups[g][0];
    const index panels = (shape.cols + width - 1) / width;
    const index first_row = task / panels * detail::task_rows;
    const index last_row = (std::min)(first_row + detail::task_rows, shape.rows);
    const index col = task % panels * width;
    for (const auto& p : groups[g]) detail::product_tile<Arch>(p, first_row, last_row, col, working_memory.row(worker));
    epilogue(static_cast<index>(g), first_row, last_row, col, (std::min)(col + width, shape.cols));
  };
  if (work < detail::smallest_parallel_work) {
    working_memory.resize(1, detail::depth_block * width);
    run_sequentially.run(tasks, run_task);
  } else {
    working_memory.resize(static_cast<index>(executor.workers()), detail::depth_block * width);
    executor.run(tasks, run_task);
  }
}

template <class Arch = xsimd::default_arch, class T, std::size_t Parts, executor Executor, class Epilogue = no_epilogue>
void grouped_product(const array<product_group<T, Parts>>& groups, const Executor& executor, scratch<T>& working_memory,
                     const Epilogue& epilogue = {}) {
  grouped_product<Arch, T, Parts>(std::span<const product_group<T, Parts>>(groups), executor, working_memory, epilogue);
}

/// One product.
template <class Arch = xsimd::default_arch, class T, executor Executor>
void gemm(const product<T>& p, const Executor& executor, scratch<T>& working_memory) {
  const product_group<T, 1> group{p};
  grouped_product<Arch, T, 1>(std::span(&group, 1), executor, working_memory);
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
