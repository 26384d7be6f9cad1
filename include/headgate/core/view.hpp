// SPDX-License-Identifier: BSD-3-Clause
// A row-major block of somebody's memory: what kernels take.
#pragma once

#include <headgate/config.hpp>

#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// (rows x cols), row r starting `stride` elements after row r - 1. Does not own; copies cheaply; does not check.
template <class T>
struct view {
  T* data = nullptr;
  index rows = 0;
  index cols = 0;
  index stride = 0;

  view() = default;
  view(T* first, index row_count, index column_count, index row_stride)
      : data(first), rows(row_count), cols(column_count), stride(row_stride) {}
  view(T* first, index row_count, index column_count) : view(first, row_count, column_count, column_count) {}

  [[nodiscard]] T* row(index r) const { return data + r * stride; }
  [[nodiscard]] T& operator()(index r, index c) const { return data[r * stride + c]; }
  [[nodiscard]] view middle_rows(index first, index count) const { return {row(first), count, cols, stride}; }
  /// Rows [first_row, last_row) of columns [first_col, last_col).
  [[nodiscard]] view part(index first_row, index last_row, index first_col, index last_col) const {
    return {row(first_row) + first_col, last_row - first_row, last_col - first_col, stride};
  }

  operator view<const T>() const requires(!std::is_const_v<T>) { return {data, rows, cols, stride}; }
};

/// A view that a function reads. T is not deduced from it, so that a `view<T>` converts.
template <class T>
using read_view = std::type_identity_t<view<const T>>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
