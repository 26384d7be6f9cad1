// SPDX-License-Identifier: BSD-3-Clause
// The library's only matrix product: all experts of a layer in one call, over a flat pool of tasks.
#pragma once

#include <headgate/concepts/executor.hpp>
#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/kernels/block_product.hpp>
#include <headgate/kernels/product.hpp>
#include <headgate/parallel/sequential.hpp>

#include <algorithm>
#include <array>
#include <span>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

/// Products that one task computes one after the other, all of the same rows and cols: the terms of a sum, where a later
/// one adds to an earlier one's C.
template <class T, std::size_t Parts, class Storage = T>
using product_group = std::array<product<T, Storage>, Parts>;

namespace detail {

/// Below so many multiply-adds waking a second thread costs more than it gains.
inline constexpr index smallest_parallel_work = index{1} << 17;

/// Tasks for each worker, so that the last ones to finish do not keep the others waiting for long.
inline constexpr index tasks_per_worker = 16;

/// Cuts groups of products into tasks: (group, block of rows, range of panels).
template <class Arch, class T, std::size_t Parts, class Storage>
class task_pool {
 public:
  using group_list = std::span<const product_group<T, Parts, Storage>>;

  task_pool(group_list groups, index workers) : groups_(groups) {
    index blocks = 0;
    for (const auto& group : groups) {
      for (const auto& p : group) {
        depth_ = (std::max)(depth_, depth_to_pack(p));
        work_ += p.rows * p.cols * p.depth * (p.paired ? 2 : 1);
      }
      rows_ += group[0].rows;
      blocks += row_blocks(group);
    }
    if (work_ < smallest_parallel_work) workers = 1;
    // One thread takes all columns at once: it packs its rows of A only once.
    if (workers > 1 && blocks > 0) column_tiles_ = (tasks_per_worker * workers + blocks - 1) / blocks;
    for (const auto& group : groups) tasks_ += row_blocks(group) * column_tiles(group);
  }

  [[nodiscard]] index tasks() const { return tasks_; }
  [[nodiscard]] index work() const { return work_; }
  [[nodiscard]] index memory_size() const { return block_memory<Arch, T>::size(rows_, depth_); }

  template <class Finish>
  void run(index task, T* memory, const Finish& finish) const {
    std::size_t g = 0;
    for (index count; task >= (count = row_blocks(groups_[g]) * column_tiles(groups_[g])); ++g) task -= count;
    const auto& group = groups_[g];
    const index tiles = column_tiles(group);
    const index panels = panel_count<Arch>(group[0]);
    const index panels_in_task = panels_per_task(panels);
    const index most = rows_of_block(group);
    const index first_row = task / tiles * most;
    const index last_row = (std::min)(first_row + most, group[0].rows);
    const index first_panel = task % tiles * panels_in_task;
    const index last_panel = (std::min)(first_panel + panels_in_task, panels);
    const block_memory<Arch, T> own(memory, rows_, depth_);
    const auto compute = [&](const product<T, Storage>& p, const auto& end) {
      block_product<Arch>(p, first_row, last_row, first_panel, last_panel, own, end);
    };
    for (std::size_t i = 0; i + 1 < Parts; ++i) compute(group[i], store_c{});
    if constexpr (std::is_same_v<Finish, store_c>)
      compute(group.back(), finish);
    else
      compute(
          group.back(), [&, number = static_cast<index>(g) ](index row, index panel, const auto& low, const auto& high)
                            __attribute__((always_inline)) { finish(number, row, panel, low, high); });
  }

 private:
  using one_group = product_group<T, Parts, Storage>;

  /// Of the deepest part.
  static index rows_of_block(const one_group& group) {
    index rows = rows_in_block<Arch>(group[0]);
    for (const auto& p : group) rows = (std::min)(rows, rows_in_block<Arch>(p));
    return rows;
  }
  static index row_blocks(const one_group& group) {
    const index rows = group[0].rows;
    return rows == 0 ? 0 : (rows + rows_of_block(group) - 1) / rows_of_block(group);
  }
  /// Whole groups of four panels.
  [[nodiscard]] index panels_per_task(index panels) const {
    return (std::max)(index{1}, ((panels + column_tiles_ - 1) / column_tiles_ + 3) / 4 * 4);
  }
  [[nodiscard]] index column_tiles(const one_group& group) const {
    const index panels = panel_count<Arch>(group[0]);
    return (panels + panels_per_task(panels) - 1) / panels_per_task(panels);
  }

  group_list groups_;
  index work_ = 0;
  index rows_ = 0, depth_ = 0;  // of all groups, and of the deepest whose A is copied
  index column_tiles_ = 1;
  index tasks_ = 0;
};

}  // namespace detail

/// A list of products with what becomes of their sums, cut into tasks: a part of what `run_together` runs.
template <class Arch, class T, std::size_t Parts, class Storage, class Finish>
struct grouped_work {
  detail::task_pool<Arch, T, Parts, Storage> pool;
  Finish finish;

  /// `groups` must outlive it; workers are those of the executor that will run it.
  grouped_work(std::span<const product_group<T, Parts, Storage>> groups, index workers, const Finish& end)
      : pool(groups, workers), finish(end) {}
};

/// Runs the tasks of several lists of products in one pass over the executor: no list waits for another.
/// `working_memory` grows to (workers x one block) and is then reused.
template <class T, executor Executor, class... Work>
void run_together(const Executor& executor, scratch<T>& working_memory, const Work&... work) {
  const bool is_small = (work.pool.work() + ... + index{0}) < detail::smallest_parallel_work;
  const index memory = (std::max)({index{0}, work.pool.memory_size()...});
  working_memory.resize(is_small ? 1 : static_cast<index>(executor.workers()), memory);
  const auto run_task = [&](index task, index worker) {
    // The first list whose tasks reach so far has it.
    [[maybe_unused]] const auto runs = [&](const auto& one) {
      if (task >= one.pool.tasks()) {
        task -= one.pool.tasks();
        return false;
      }
      one.pool.run(task, working_memory.row(worker), one.finish);
      return true;
    };
    static_cast<void>((runs(work) || ...));
  };
  const index tasks = (work.pool.tasks() + ... + index{0});
  if (is_small)
    run_sequentially.run(tasks, run_task);
  else
    executor.run(tasks, run_task);
}

/// Computes all groups. `finish` is store_c{}, or gets each element of a group's last part once while it is in a register:
/// finish(g, row, panel, low, high) with the two vectors of a panel in one row of group g. Groups, rows and columns of any
/// number, zero included.
///
/// The bits of an element do not depend on the executor, the other rows or the blocking (see micro_kernel).
template <class Arch = xsimd::default_arch, class T, std::size_t Parts, class Storage, executor Executor, class Finish>
void grouped_product(std::span<const product_group<T, Parts, Storage>> groups, const Executor& executor,
                     scratch<T>& working_memory, const Finish& finish) {
  run_together(executor, working_memory,
               grouped_work<Arch, T, Parts, Storage, Finish>(groups, static_cast<index>(executor.workers()), finish));
}

/// The same, written to each group's C.
template <class Arch = xsimd::default_arch, class T, std::size_t Parts, class Storage, executor Executor>
void grouped_product(std::span<const product_group<T, Parts, Storage>> groups, const Executor& executor,
                     scratch<T>& working_memory) {
  grouped_product<Arch>(groups, executor, working_memory, store_c{});
}

/// One product.
template <class Arch = xsimd::default_arch, class T, class Storage, executor Executor>
void gemm(const product<T, Storage>& p, const Executor& executor, scratch<T>& working_memory) {
  const product_group<T, 1, Storage> group{p};
  grouped_product<Arch>(std::span<const product_group<T, 1, Storage>>(&group, 1), executor, working_memory);
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
