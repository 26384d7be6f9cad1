// SPDX-License-Identifier: BSD-3-Clause
// One block of a matrix product on one thread: some rows of A times some panels of B.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>  // abort_with
#include <headgate/core/scratch.hpp>
#include <headgate/kernels/blocking.hpp>
#include <headgate/kernels/micro_kernel.hpp>
#include <headgate/kernels/panels.hpp>
#include <headgate/kernels/product.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>
#include <bit>  // bit_floor
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

namespace detail {

/// Panels of the largest group.
inline constexpr index most_panels = 4;

/// Panels that are worked on together, so that tiles of few rows can take several at once.
[[nodiscard]] constexpr index panel_group(index rows) { return rows == 1 ? most_panels : 2; }

/// Bytes that a single pass fetches ahead, over all the panels that it takes at once. With half of it 4 rows of floats get
/// 0.92 of the roofline instead of 0.98, 6 rows 0.83 instead of 0.94; twice as much is no better for one panel.
inline constexpr index bytes_ahead = 8192;

/// A row of zeros for the largest group of the widest vectors.
template <class T>
inline constexpr T no_start[static_cast<std::size_t>(most_panels) * 2 * alignment / sizeof(T)] = {};

}  // namespace detail

/// Working memory of one thread: rows of A, panels of B, sums between blocks of depth, and start values, each where it is
/// needed at all.
template <class Arch, class T>
struct block_memory {
  static constexpr index width = panel_width<Arch, T>;
  static constexpr index group = detail::most_panels;

  T* rows = nullptr;
  T* panels = nullptr;
  T* sums = nullptr;
  T* start = nullptr;

  /// Elements, for products of up to so many rows at a time and so much depth.
  [[nodiscard]] static index size(index rows, index depth) {
    return whole_lines(packed_rows_size<T>(rows, depth)) + group * width * block_of_depth() +
           (rows + 1) * group * width;
  }
  [[nodiscard]] static index block_of_depth() { return depth_block(2 * width * static_cast<index>(sizeof(T))); }

  block_memory(T* memory, index row_count, index depth)
      : rows(memory),
        panels(rows + whole_lines(packed_rows_size<T>(row_count, depth))),
        sums(panels + group * width * block_of_depth()),
        start(sums + row_count * group * width) {}

 private:
  static constexpr index whole_lines(index elements) { return (elements + 15) / 16 * 16; }
};

namespace detail {

/// A finish of the micro-kernel: keeps sums that are not complete.
template <class Arch, class T>
struct save_sums {
  T* to;
  index stride;
  HEADGATE_ALWAYS_INLINE void operator()(index r, index p, const xsimd::batch<T, Arch>& low,
                                         const xsimd::batch<T, Arch>& high) const {
    T* const at = to + r * stride + p * panel_width<Arch, T>;
    low.store_unaligned(at);
    high.store_unaligned(at + xsimd::batch<T, Arch>::size);
  }
};

/// Another: hands complete sums on, with their place in the product.
template <class Finish>
struct finish_at {
  const Finish& finish;
  index row;
  index panel;
  template <class Batch>
  HEADGATE_ALWAYS_INLINE void operator()(index r, index p, const Batch& low, const Batch& high) const {
    finish(row + r, panel + p, low, high);
  }
};

/// The walk over one group of panels.
template <class Arch, class T, class Storage, class Finish>
class group_product {
 public:
  group_product(const product<T, Storage>& p, const left_block<T>& a, index first_row, index rows,
                const block_memory<Arch, T>& memory, const Finish& finish)
      : p_(p), a_(a), first_row_(first_row), rows_(rows), memory_(memory), finish_(finish) {
    tiles_ = (rows + tile_rows<Arch> - 1) / tile_rows<Arch>;
    // A single pass over packed panels needs no blocks.
    block_ = p.panels && tiles_ == 1 ? (std::max)(p.depth, index{1}) : block_memory<Arch, T>::block_of_depth();
  }

  void run(index panel, index count) {
    panel_ = panel, count_ = count;
    choose_start();
    index first = 0;
    do {  // at least once: an empty sum still has its start value
      const index last = (std::min)(first + block_, p_.depth);
      choose_panels(first, last);
      for (index t = 0, row = 0; t < tiles_; ++t) {
        const index rows = (rows_ - row + tiles_ - t - 1) / (tiles_ - t);  // tiles as equal as can be
        run_tile(t, row, rows, first, last);
        row += rows;
      }
      start_ = memory_.sums, start_stride_ = sums_stride;
      first = last;
    } while (first < p_.depth);
  }

 private:
  static constexpr index width = panel_width<Arch, T>;
  static constexpr index sums_stride = block_memory<Arch, T>::group * width;

  void choose_start() {
    const index per_panel = panel_cols<Arch>(p_);
    const index col = panel_ * per_panel;
    const index cols = (std::min)(count_ * per_panel, p_.cols - col);
    start_ = no_start<T>, start_stride_ = 0;
    if (p_.accumulate) {
      HEADGATE_ASSERT(!p_.paired, "block_product: a pair has no C to add to");
      start_ = p_.c + first_row_ * p_.c_stride + col, start_stride_ = p_.c_stride;
      if (cols == count_ * width) return;
      for (index r = 0; r < rows_; ++r) std::copy_n(start_ + r * p_.c_stride, cols, memory_.sums + r * sums_stride);
      start_ = memory_.sums, start_stride_ = sums_stride;
    } else if (p_.bias || p_.bias_pair) {
      std::fill_n(memory_.start, count_ * width, T{0});
      for (index j = 0; j < cols; ++j) {
        T* const to = memory_.start + j / per_panel * width + j % per_panel;
        if (p_.bias) to[0] = p_.bias[col + j];
        if (p_.bias_pair) to[per_panel] = p_.bias_pair[col + j];
      }
      start_ = memory_.start;
    }
  }

  void choose_panels(index first, index last) {
    const index steps = last - first;
    operands_.depth = steps;
    operands_.a_stride = a_.stride;
    if constexpr (std::is_same_v<Storage, T>)
      if (!p_.panels) {
        operands_.panel_stride = block_ * width;
        for (index v = 0; v < count_; ++v)
          pack_panel<Arch>(p_, panel_ + v, first, last, memory_.panels + v * operands_.panel_stride);
        operands_.panel = memory_.panels;
        return look_ahead_unpacked(last);
      }
    operands_.panel = p_.panels + (panel_ * p_.depth + first) * width;
    operands_.panel_stride = ahead_.panel_stride = p_.depth * width;
    if (tiles_ == 1) {
      const index panels = (std::min)(count_, panels_at_once<Arch, T, Storage>(rows_));
      ahead_.from = operands_.panel + bytes_ahead / (panels * width * static_cast<index>(sizeof(Storage))) * width;
      ahead_.passes = 1, ahead_.step = width;
    } else {
      // While the passes over this block run, the next block comes from memory, a part of it in each pass: its lines ask for
      // as much bandwidth as there is time for. Without it the first pass runs at the pace of memory and the others wait.
      ahead_.from =
          last < p_.depth ? operands_.panel + steps * width : p_.panels + (panel_ + count_) * p_.depth * width;
      ahead_.passes = static_cast<index>(std::bit_floor(static_cast<std::size_t>((std::min)(tiles_, index{8}))));
      ahead_.step = width / ahead_.passes;
    }
  }

  /// What the next group or block will read a line of in each row, too far apart for the hardware to see a stream: C where it
  /// is added to, else B where a step lies within a row of it.
  void look_ahead_unpacked([[maybe_unused]] index last) {
    ahead_ = {};
    if constexpr (std::is_same_v<Storage, T>) {
      ahead_.panel_stride = width;
      const index next_col = (panel_ + count_) * width;
      if (p_.accumulate && next_col < p_.cols) {
        ahead_.from = p_.c + first_row_ * p_.c_stride + next_col;
        ahead_.step = p_.c_stride;
        ahead_.passes = rows_ / (std::max)(operands_.depth, index{1}) + 1;
      } else if (p_.b_col_stride == 1 && !p_.b_rows) {
        ahead_.from = last < p_.depth ? p_.b + last * p_.b_depth_stride + panel_ * width : p_.b + next_col;
        ahead_.step = p_.b_depth_stride;
        ahead_.passes = 1;
      }
    }
  }

  void run_tile(index t, index row, index rows, index first, index last) {
    const T* a_rows[tile_rows<Arch>];
    for (index r = 0; r < rows; ++r) a_rows[r] = a_.row(row + r) + first * a_.stride;
    micro_operands<T, Storage> m = operands_;
    m.a_rows = a_rows;
    m.start_stride = start_stride_;
    m.next_step = t < ahead_.passes ? ahead_.step : 0;
    const index at_once = panels_at_once<Arch, T, Storage>(rows) <= count_ ? panels_at_once<Arch, T, Storage>(rows) : 1;
    for (index v = 0; v < count_;) {
      const index panels = v + at_once <= count_ ? at_once : 1;
      m.panel = operands_.panel + v * m.panel_stride;
      m.next = ahead_.from + v * ahead_.panel_stride + t * m.depth * m.next_step;
      m.start = start_ + row * start_stride_ + v * width;
      if (last < p_.depth)
        micro_kernel_for<Arch, T, Storage>(
            rows, panels, m, save_sums<Arch, T>{memory_.sums + row * sums_stride + v * width, sums_stride});
      else
        micro_kernel_for<Arch, T, Storage>(rows, panels, m, finish_at<Finish>{finish_, first_row_ + row, panel_ + v});
      v += panels;
    }
  }

  const product<T, Storage>& p_;
  const left_block<T>& a_;
  const index first_row_, rows_;
  const block_memory<Arch, T>& memory_;
  const Finish& finish_;
  index tiles_ = 0, block_ = 0;

  index panel_ = 0, count_ = 0;  // the group
  const T* start_ = nullptr;
  index start_stride_ = 0;
  micro_operands<T, Storage> operands_;  // of the block
  struct {
    const Storage* from = nullptr;
    index panel_stride = 0;
    index step = 0;    // of one step of the micro-kernel
    index passes = 0;  // tiles that look ahead, each where the one before stopped
  } ahead_;
};

}  // namespace detail

/// Rows [first_row, last_row) and panels [first_panel, last_panel) of the product: finish(row, panel, low, high) once for
/// each row and panel, low and high being the panel's two vectors of complete sums. `memory` must have been made for as
/// many rows and as much depth.
template <class Arch, class T, class Storage, class Finish>
void block_product(const product<T, Storage>& p, index first_row, index last_row, index first_panel, index last_panel,
                   const block_memory<Arch, T>& memory, const Finish& finish) {
  if (first_row >= last_row || (p.depth == 0 && p.accumulate))
    return;  // an expert without a token: its gradient is not even read
  const left_block<T> a = pack_rows(p, first_row, last_row, memory.rows);
  detail::group_product<Arch, T, Storage, Finish> group(p, a, first_row, last_row - first_row, memory, finish);
  const index most = detail::panel_group(last_row - first_row);
  for (index panel = first_panel; panel < last_panel; panel += most)
    group.run(panel, (std::min)(most, last_panel - panel));
}

/// Writes a vector to columns [col, col + lanes) of a row of `cols` elements, as far as it reaches.
template <class T, class Arch>
HEADGATE_ALWAYS_INLINE void store_lanes(T* row, index col, index cols, const xsimd::batch<T, Arch>& values) {
  constexpr index lanes = static_cast<index>(xsimd::batch<T, Arch>::size);
  if (col + lanes <= cols) {
    values.store_unaligned(row + col);
  } else if (col < cols) {  // not a window over the row's last vectors: the columns before may be another thread's
    alignas(alignment) T edge[static_cast<std::size_t>(lanes)];
    values.store_aligned(edge);
    std::copy_n(edge, cols - col, row + col);
  }
}

/// The same for the two vectors of a panel.
template <class T, class Arch>
HEADGATE_ALWAYS_INLINE void store_panel(T* row, index col, index cols, const xsimd::batch<T, Arch>& low,
                                        const xsimd::batch<T, Arch>& high) {
  store_lanes(row, col, cols, low);
  store_lanes(row, col + static_cast<index>(xsimd::batch<T, Arch>::size), cols, high);
}

/// Rows of A in one block: as many as a core's second-level cache holds, or all if they are fewer.
template <class Arch, class T>
[[nodiscard]] index rows_in_block(index rows, index depth) {
  return (std::min)(rows, row_block(depth * static_cast<index>(sizeof(T)), tile_rows<Arch>));
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
