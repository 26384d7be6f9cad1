// SPDX-License-Identifier: BSD-3-Clause
// Matrices out of, and back into, the tensors of a checkpoint.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/bf16.hpp>
#include <headgate/core/fp16.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/view.hpp>
#include <headgate/core/weights.hpp>
#include <headgate/io/checkpoint.hpp>
#include <headgate/io/dtype.hpp>
#include <headgate/io/refuse_file.hpp>
#include <headgate/io/safetensors_file.hpp>
#include <headgate/models/tensor_part.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace detail {

/// f(row, first column, count, position of the first in the tensor) for stretches of the rows of a part: whole rows where a row
/// lies together in the tensor, else the rows of squares, so that neither side is read along while the other is read across.
template <class F>
void for_each_stretch(const tensor_part& part, const F& f) {
  const index side = part.col_stride == 1 ? (std::max)(part.cols, index{1}) : 64;
  for (index row = 0; row < part.rows; row += 64)
    for (index col = 0; col < part.cols; col += side)
      for (index r = row; r < (std::min)(row + 64, part.rows); ++r)
        f(r, col, (std::min)(side, part.cols - col), part.position(r, col));
}

/// How a number is stored, and that number as a T.
template <class Stored>
[[nodiscard]] Stored load_unaligned(const std::byte* bytes, index position) {
  Stored value;
  std::memcpy(&value, bytes + position * static_cast<index>(sizeof(Stored)), sizeof(Stored));
  return value;
}

/// A number as it is stored, as a T.
template <class T, class Stored>
[[nodiscard]] T widened(Stored stored) {
  if constexpr (std::is_floating_point_v<Stored>)
    return static_cast<T>(stored);
  else
    return static_cast<T>(static_cast<float>(stored));
}

/// f(an object of the type in which elements of this dtype are stored). Refuses what is not a floating-point type of ours.
template <class F>
void with_stored_type(const std::string& path, std::string_view name, dtype type, const F& f) {
  switch (type) {
    case dtype::f64:
      return f(double{});
    case dtype::f32:
      return f(float{});
    case dtype::bf16:
      return f(bf16{});
    case dtype::f16:
      return f(fp16{});
    default:
      refuse_file(path, "tensor '", name, "' is ", describe(type).name,
                  ", weights must be F32, BF16, F16 or F64; convert quantised checkpoints first");
  }
}

template <class Matrix>
inline constexpr bool can_borrow = requires(typename Matrix::Scalar* data) {
  Matrix::borrow(data, index{}, index{}, std::shared_ptr<const void>{});
};

}  // namespace detail

/// The tensor that a part lies in. Refuses one that is not there, or is of another shape.
[[nodiscard]] inline tensor_in_file find_tensor(const checkpoint& from, const std::string& prefix,
                                                const tensor_part& part) {
  const std::string name = prefix + part.name;
  const tensor_in_file found = from.find(name);
  if (!found) {
    // gpt-oss as it was released (MXFP4), and the usual 4-bit formats.
    const std::string of_layer = name.ends_with("weight") ? name.substr(0, name.size() - 6) : name + "_";
    for (const char* const other : {"blocks", "qweight", "weight_packed"})
      if (from.find(of_layer + other))
        refuse_file(from.path(), "has no tensor '", name, "' but '", of_layer + other,
                    "': quantised weights have to be converted to BF16, F16 or F32 first");
    refuse_file(from.path(), "has no tensor '", name, "', expected one of shape ", shape_text(part.shape));
  }
  if (!std::equal(found.what->shape.begin(), found.what->shape.end(), part.shape.begin(), part.shape.end()))
    refuse_file(found.file->path(), "tensor '", name, "' has shape ", shape_text(found.what->shape), ", expected ",
                shape_text(part.shape));
  return found;
}

/// Gives `to` the values of a part of a tensor. Where they lie as ours do and are of the matrix's own type, `weights` borrow
/// them from the mapped file; everything else is copied, 16-bit floats widened exactly. The pages of a 16-bit tensor that has
/// been read whole are given back: nobody can have borrowed them.
template <class Matrix>
void read_part(const tensor_in_file& tensor, const tensor_part& part, Matrix& to) {
  using T = typename Matrix::Scalar;
  if (part.rows > 0 && part.cols > 0 && part.position(part.rows - 1, part.cols - 1) >= tensor.what->size())
    refuse_file(tensor.file->path(), "tensor '", tensor.what->name, "' has ", tensor.what->size(),
                " elements, its part ends at ", part.position(part.rows - 1, part.cols - 1) + 1);
  if constexpr (detail::can_borrow<Matrix>)
    if (T* const values = tensor.file->template elements<T>(*tensor.what); values != nullptr && part.is_contiguous()) {
      to = Matrix::borrow(values + part.first, part.rows, part.cols, tensor.file->keeper());
      return;
    }
  const std::byte* const bytes = tensor.file->bytes(*tensor.what).data();
  to.resize(part.rows, part.cols);
  detail::with_stored_type(tensor.file->path(), tensor.what->name, tensor.what->type, [&]<class Stored>(Stored) {
    if constexpr (std::is_same_v<Stored, double> && std::is_same_v<T, float>)
      refuse_file(tensor.file->path(), "tensor '", tensor.what->name, "' is F64, expected F32 or a narrower float");
    else
      detail::for_each_stretch(part, [&, step = part.col_stride](index r, index c, index count, index position) {
        T* const values = to.data() + r * to.cols() + c;
        for (index i = 0; i < count; ++i) {
          values[i] = detail::widened<T>(detail::load_unaligned<Stored>(bytes, position + i * step));
        }
      });
  });
  if (describe(tensor.what->type).bytes == 2 && part.rows * part.cols == tensor.what->size())
    tensor.file->drop_pages(*tensor.what);
}

/// Writes a matrix into its part of a tensor whose bytes are a caller's. Values are rounded to nearest to the tensor's type,
/// which changes nothing in what was read from it.
template <class T>
void write_part(const std::string& path, std::string_view name, dtype type, const tensor_part& part, view<const T> from,
                std::byte* bytes) {
  detail::with_stored_type(path, name, type, [&]<class Stored>(Stored) {
    detail::for_each_stretch(part, [&](index r, index c, index count, index position) {
      for (index i = 0; i < count; ++i) {
        std::byte* const place = bytes + (position + i * part.col_stride) * static_cast<index>(sizeof(Stored));
        // What was not changed keeps its bits, those of a signalling NaN too.
        if (const T value = from(r, c + i), before = detail::widened<T>(detail::load_unaligned<Stored>(place, 0));
            std::memcmp(&value, &before, sizeof value) == 0)
          continue;
        Stored stored;
        if constexpr (std::is_floating_point_v<Stored>)
          stored = static_cast<Stored>(from(r, c + i));
        else
          stored = Stored(static_cast<float>(from(r, c + i)));
        std::memcpy(place, &stored, sizeof stored);
      }
    });
  });
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
