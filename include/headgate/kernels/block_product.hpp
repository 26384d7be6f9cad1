// SPDX-License-Identifier: BSD-3-Clause
// One block of a matrix product on one thread: some rows of A times some panels of B.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>  // abort_with
#include <headgate/core/scratch.hpp>
#include <headgate/kernels/block_memory.hpp>
#include <headgate/kernels/blocking.hpp>
#include <headgate/kernels/micro_kernel.hpp>
#include <headgate/kernels/panels.hpp>
#include <headgate/kernels/product.hpp>
#include <headgate/kernels/store_panel.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>
#include <bit>  // bit_floor
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

namespace detail {

/// Panels that are worked on together, so that tiles of few rows can take several at once.
[[nodiscard]] constexpr index panel_group(index rows) { return rows == 1 ? most_panels : 2; }

/// Bytes that a single pass fetches ahead, over all the panels that it takes at once. With half of it 4 rows of floats get
/// 0.92 of the roofline instead of 0.98, 6 rows 0.83 instead of 0.94; twice as much is no better for one panel.
inline constexpr index bytes_ahead = 8192;

/// A row of zeros for the largest group of the widest vectors.
template <class T>
inline constexpr T no_start[static_cast<std::size_t>(most_panels) * 2 * alignment / sizeof(T)] = {};

}  // namespace detail

/// The finish that writes complete sums to the product's C.
struct store_c {};

namespace detail {

/// A finish of the micro-kernel: writes the vectors of row r and panel p to row r of a block, from column p * panel width on,
/// as far as its rows of `cols` elements reach. Sums that are not complete go to working memory this way, complete ones to C.
template <class T>
struct store_rows {
  T* to;
  index stride;
  index cols;
  template <class Arch>
  HEADGATE_ALWAYS_INLINE void operator()(index r, index p, const xsimd::batch<T, Arch>& low,
                                         const xsimd::batch<T, Arch>& high) const {
    store_panel(to + r * stride, p * panel_width<Arch, T>, cols, low, high);
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
    block_ = block_memory<Arch, T>::block_of_depth();
    if (p.panels && tiles_ == 1) {
      // A single pass over packed panels needs no blocks. Of several panels at once, the last steps are one all the same:
      // there the panels that follow are not the next group's, and it looks ahead into those.
      const index panels = (std::min)(panel_group(rows), panels_at_once<Arch, T, Storage>(rows));
      const index last_steps = panels > 1 && looks_ahead<T, Storage>(panels) ? steps_ahead(panels) : 0;
      block_ = (std::max)(p.depth > 2 * last_steps ? p.depth - last_steps : p.depth, index{1});
    }
  }

  void run(index panel, index count, bool is_first) {
    panel_ = panel, count_ = count, reads_new_rows_ = is_first;
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

  /// Steps that a single pass over so many panels at once fetches ahead.
  static constexpr index steps_ahead(index panels) {
    return bytes_ahead / (panels * width * static_cast<index>(sizeof(Storage)));
  }

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
    operands_.depth = last - first;
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
    operands_.panel_stride = p_.depth * width;
    look_ahead_packed(last);
  }

  /// While the passes over a block run, the next block comes from memory, a part of it in each pass: its lines ask for as
  /// much bandwidth as there is time for. Without it the first pass runs at the pace of memory and the others wait.
  void look_ahead_packed(index last) {
    constexpr index step = width * static_cast<index>(sizeof(Storage));
    const Storage* const next_group = p_.panels + (panel_ + count_) * p_.depth * width;
    if (tiles_ == 1) {
      const index steps = steps_ahead((std::min)(count_, panels_at_once<Arch, T, Storage>(rows_)));
      ahead_ = {last < p_.depth || block_ == p_.depth ? operands_.panel + steps * width : next_group, p_.depth * step,
                step, 1};
    } else {
      const Storage* const next_block = last < p_.depth ? operands_.panel + operands_.depth * width : next_group;
      const auto passes = static_cast<index>(std::bit_floor(static_cast<std::size_t>((std::min)(tiles_, index{8}))));
      ahead_ = {next_block, p_.depth * step, step / passes, passes};
    }
  }

  /// What the next group or block reads a line of in each row, too far apart for the hardware to see a stream: C where it is
  /// added to, else B where a step lies within a row of it.
  void look_ahead_unpacked(index last) {
    constexpr index element = static_cast<index>(sizeof(T));
    const index next_col = (panel_ + count_) * width;
    ahead_ = {};
    if (p_.accumulate && next_col < p_.cols)
      ahead_ = {p_.c + first_row_ * p_.c_stride + next_col, width * element, p_.c_stride * element,
                rows_ / (std::max)(operands_.depth, index{1}) + 1};
    else if (p_.b_col_stride == 1 && !p_.b_rows)
      ahead_ = {last < p_.depth ? p_.b + last * p_.b_depth_stride + panel_ * width : p_.b + next_col, width * element,
                p_.b_depth_stride * element, 1};
  }

  void run_tile(index t, index row, index rows, index first, index last) {
    const T* a_rows[tile_rows<Arch>];
    for (index r = 0; r < rows; ++r) a_rows[r] = a_.row(row + r) + first * a_.stride;
    micro_operands<T, Storage> m = operands_;
    m.a_rows = a_rows;
    m.start_stride = start_stride_;
    const index at_once = panels_at_once<Arch, T, Storage>(rows) <= count_ ? panels_at_once<Arch, T, Storage>(rows) : 1;
    for (index v = 0; v < count_;) {
      const index panels = v + at_once <= count_ ? at_once : 1;
      m.panel = operands_.panel + v * m.panel_stride;
      look_ahead(m, t, v, rows);
      m.start = start_ + row * start_stride_ + v * width;
      const auto run = [&](const auto& finish) { micro_kernel_for<Arch, T, Storage>(rows, panels, m, finish); };
      const index col = (panel_ + v) * width;
      if (last < p_.depth)
        run(store_rows<T>{memory_.sums + row * sums_stride + v * width, sums_stride, sums_stride});
      else if constexpr (std::is_same_v<Finish, store_c>)
        run(store_rows<T>{p_.c + (first_row_ + row) * p_.c_stride + col, p_.c_stride, p_.cols - col});
      else
        run(finish_at<Finish>{finish_, first_row_ + row, panel_ + v});
      v += panels;
    }
  }

  /// Of tile t on panel v of the group; the tile has so many rows.
  void look_ahead(micro_operands<T, Storage>& m, index t, index v, index rows) const {
    if (reads_new_rows_ && !p_.panels) {  // of A; with the other panels they come from the cache
      constexpr index element = static_cast<index>(sizeof(T));
      m.next = reinterpret_cast<const char*>(m.a_rows[0]) + rows * a_.row_stride * element;
      m.next_step = element * (a_.stride == 1 ? rows * a_.row_stride / (m.depth + 1) + 1 : a_.stride);
    } else {
      m.next_step = t < ahead_.passes ? ahead_.step : 0;
      m.next_panel_stride = ahead_.panel_stride;
      m.next = static_cast<const char*>(ahead_.from) + v * ahead_.panel_stride + t * m.depth * m.next_step;
    }
  }

  const product<T, Storage>& p_;
  const left_block<T>& a_;
  const index first_row_, rows_;
  const block_memory<Arch, T>& memory_;
  const Finish& finish_;
  index tiles_ = 0, block_ = 0;

  index panel_ = 0, count_ = 0;  // the group
  bool reads_new_rows_ = false;
  const T* start_ = nullptr;
  index start_stride_ = 0;
  micro_operands<T, Storage> operands_;  // of the block
  struct {
    const void* from = nullptr;
    index panel_stride = 0;  // bytes, as all here
    index step = 0;          // of one step of the micro-kernel
    index passes = 0;        // tiles that look ahead, each where the one before stopped
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
    group.run(panel, (std::min)(most, last_panel - panel), panel == first_panel);
}

/// Rows of A in one block, or all if they are fewer.
template <class Arch, class T, class Storage>
[[nodiscard]] index rows_in_block(const product<T, Storage>& p) {
  return (std::min)(p.rows, row_block(p.depth * static_cast<index>(sizeof(T)), tile_rows<Arch>, !p.panels));
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
