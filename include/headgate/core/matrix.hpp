// SPDX-License-Identifier: BSD-3-Clause
// Row-major token matrices on Eigen, and the doors through which a caller's matrices come in.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/view.hpp>

#include <Eigen/Core>

#include <cstdint>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Row-major and of run-time size: tokens x features, outputs x inputs, 1 x outputs for a bias.
template <class T>
using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// What a policy reads: any row-major matrix, map or block of rows, without a copy.
template <class T>
using in = Eigen::Ref<const matrix<T>, 0, Eigen::OuterStride<>>;

/// What a policy writes: the same, of a size the caller has fixed.
template <class T>
using out = Eigen::Ref<matrix<T>, 0, Eigen::OuterStride<>>;

/// The memory of a matrix as kernels take it. The matrix must outlive the view.
template <class M>
[[nodiscard]] auto view_of(M& m) {
  using element = std::remove_reference_t<decltype(*m.data())>;
  return view<element>(m.data(), m.rows(), m.cols(), m.outerStride());
}

/// A kernel's block as an Eigen matrix, for policies that take `in<T>` and `out<T>`.
template <class T>
[[nodiscard]] auto map_of(view<T> block) {
  using plain = std::conditional_t<std::is_const_v<T>, const matrix<std::remove_const_t<T>>, matrix<T>>;
  return Eigen::Map<plain, 0, Eigen::OuterStride<>>(block.data, block.rows, block.cols,
                                                    Eigen::OuterStride<>(block.stride));
}

/// Turns a caller's argument into `in<T>`. A matrix, map or block of rows is never copied: what would need a copy does not
/// compile. An expression is evaluated once.
template <class T, class X>
[[nodiscard]] in<T> row_major(const X& x) {
  static_assert(std::is_base_of_v<Eigen::EigenBase<X>, X>, "headgate: pass an Eigen matrix, map or block of rows");
  static_assert(std::is_same_v<typename X::Scalar, T>, "headgate: the matrix has another scalar type than the layer");
  if constexpr (requires { x.data(); }) {
    static_assert(X::IsRowMajor,
                  "headgate: the matrix is column-major; use headgate::matrix<T> or another row-major type");
    static_assert(X::InnerStrideAtCompileTime == 1, "headgate: the elements of a row must lie next to each other");
  }
  return in<T>(x);
}

/// True if a Y can become (rows x cols): it owns its memory, and no size of its type stands against it.
template <class Y>
[[nodiscard]] bool can_resize([[maybe_unused]] index rows, [[maybe_unused]] index cols) {
  if constexpr (std::is_base_of_v<Eigen::PlainObjectBase<Y>, Y>) {
    const auto takes = [](index fixed, index most, index size) {
      return fixed == Eigen::Dynamic ? most == Eigen::Dynamic || size <= most : size == fixed;
    };
    return takes(Y::RowsAtCompileTime, Y::MaxRowsAtCompileTime, rows) &&
           takes(Y::ColsAtCompileTime, Y::MaxColsAtCompileTime, cols);
  } else {
    return false;
  }
}

/// Refuses a y that cannot become (rows x cols): a map or block of another size.
template <class T, class Y>
void check_target(const Y& y, index rows, index cols, const char* owner, const char* name) {
  static_assert(std::is_same_v<typename Y::Scalar, T>, "headgate: the matrix has another scalar type than the layer");
  static_assert(Y::IsRowMajor,
                "headgate: the matrix is column-major; use headgate::matrix<T> or another row-major type");
  static_assert(Y::InnerStrideAtCompileTime == 1, "headgate: the elements of a row must lie next to each other");
  if ((y.rows() != rows || y.cols() != cols) && !can_resize<Y>(rows, cols))
    refuse(owner, ": ", name, " is ", y.rows(), " x ", y.cols(), ", it must be ", rows, " x ", cols);
}

/// Makes y (rows x cols): resizes what owns its memory, and refuses a map or block of another size.
template <class T, class Y>
[[nodiscard]] out<T> prepare(Y& y, index rows, index cols, const char* owner, const char* name) {
  check_target<T>(y, rows, cols, owner, name);
  if constexpr (std::is_base_of_v<Eigen::PlainObjectBase<Y>, Y>)
    if (y.rows() != rows || y.cols() != cols) y.resize(rows, cols);
  return out<T>(y);
}

/// Refuses two matrices that share memory: an output must not overlap what is still to be read. Blocks of columns side
/// by side in one larger matrix do not overlap.
template <class T>
void check_apart(in<T> x, in<T> y, const char* owner, const char* names) {
  if (x.size() == 0 || y.size() == 0) return;
  const auto address = [](const T* element) { return reinterpret_cast<std::uintptr_t>(element); };
  const auto end = [&](const in<T>& m) { return address(m.data() + (m.rows() - 1) * m.outerStride() + m.cols()); };
  if (address(x.data()) >= end(y) || address(y.data()) >= end(x)) return;
  const bool y_first = address(y.data()) < address(x.data());
  const in<T>& first = y_first ? y : x;
  const in<T>& second = y_first ? x : y;
  const index stride = x.outerStride();
  if (stride == y.outerStride() && stride > 0) {
    const index column = (second.data() - first.data()) % stride;
    if (first.cols() <= column && column + second.cols() <= stride) return;
  }
  refuse(owner, ": ", names, " share memory, each must have its own");
}

/// The same for an operation that also works in place: y may be x itself, but not overlap it otherwise.
template <class T>
void check_apart_or_same(in<T> x, in<T> y, const char* owner, const char* names) {
  const bool same = x.data() == y.data() && x.rows() == y.rows() && x.cols() == y.cols();
  if (!same || x.outerStride() != y.outerStride()) check_apart<T>(x, y, owner, names);
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
