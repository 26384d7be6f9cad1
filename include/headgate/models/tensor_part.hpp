// SPDX-License-Identifier: BSD-3-Clause
// Where a matrix of ours lies in a tensor of a checkpoint.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>

#include <initializer_list>
#include <string>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Element (r, c) of a matrix (rows x cols) is element `first + r * row_stride + c * col_stride` of the tensor.
///
/// All layouts on disk are such parts: a matrix of its own, one of a stack, half of a fused one, every second row of an
/// interleaved one, each of them transposed or not. Reading and writing are one walk over them.
///
///   stack_of("experts.gate_up_proj", 8, 16, 40, 3).transposed().every_other_row(0)   gpt-oss: gate of expert 3, [hidden, model]
struct tensor_part {
  std::string name;    ///< without the prefix of the block
  array<index> shape;  ///< what the file must say
  index first = 0;
  index rows = 0;
  index cols = 0;
  index row_stride = 0;
  index col_stride = 1;

  [[nodiscard]] tensor_part transposed() const {
    tensor_part part = *this;
    std::swap(part.rows, part.cols);
    std::swap(part.row_stride, part.col_stride);
    return part;
  }
  /// Rows [begin, begin + count).
  [[nodiscard]] tensor_part middle_rows(index begin, index count) const {
    tensor_part part = *this;
    part.first += begin * row_stride;
    part.rows = count;
    return part;
  }
  /// Rows begin, begin + 2, begin + 4 ...
  [[nodiscard]] tensor_part every_other_row(index begin) const {
    tensor_part part = *this;
    part.first += begin * row_stride;
    part.rows = (rows - begin + 1) / 2;
    part.row_stride *= 2;
    return part;
  }

  /// True if the matrix lies in the tensor as it lies in our memory: row after row, without holes.
  [[nodiscard]] bool is_contiguous() const { return col_stride == 1 && (rows <= 1 || row_stride == cols); }
  [[nodiscard]] index position(index row, index col) const { return first + row * row_stride + col * col_stride; }
  [[nodiscard]] index tensor_size() const {
    index size = 1;
    for (const index extent : shape) size *= extent;
    return size;
  }
};

namespace detail {
[[nodiscard]] inline array<index> shape_of(std::initializer_list<index> extents) {
  array<index> shape;
  for (const index extent : extents) shape.push_back(extent);
  return shape;
}
}  // namespace detail

/// A tensor [rows, cols] that is the matrix.
[[nodiscard]] inline tensor_part whole(std::string name, index rows, index cols) {
  return {std::move(name), detail::shape_of({rows, cols}), 0, rows, cols, cols, 1};
}

/// A tensor [size] as a matrix (1 x size).
[[nodiscard]] inline tensor_part vector_of(std::string name, index size) {
  return {std::move(name), detail::shape_of({size}), 0, 1, size, size, 1};
}

/// Matrix `which` of a tensor [count, rows, cols].
[[nodiscard]] inline tensor_part stack_of(std::string name, index count, index rows, index cols, index which) {
  return {std::move(name), detail::shape_of({count, rows, cols}), which * rows * cols, rows, cols, cols, 1};
}

/// Row `which` of a tensor [count, size] as a matrix (1 x size).
[[nodiscard]] inline tensor_part row_of(std::string name, index count, index size, index which) {
  return {std::move(name), detail::shape_of({count, size}), which * size, 1, size, size, 1};
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
