// SPDX-License-Identifier: BSD-3-Clause
// A parameter matrix that owns its memory or lies in somebody else's: in a file's mapping, say.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A row-major (rows x cols) matrix like `matrix<T>`, whose memory is its own or borrowed. Borrowed memory stays alive as
/// long as the weights hold its keeper. To Eigen it is a map, so all that takes an expression takes it.
///
///   copying     copies the values into memory of the copy's own: gradients made from borrowed parameters own theirs
///   moving      moves, and what is borrowed stays borrowed; never throws
///   assigning   values of the same size are written in place (into borrowed memory too), without an allocation; values of
///               another size go into new memory of its own; aliases are Eigen's: `a = a.transpose()` needs `.eval()`
template <class T>
class weights : public Eigen::Map<matrix<T>> {
  using map = Eigen::Map<matrix<T>>;

 public:
  weights() : map(nullptr, 0, 0) {}
  /// Of its own memory, the values unspecified.
  explicit weights(index rows, index cols) : weights(matrix<T>(rows, cols)) {}
  weights(matrix<T>&& values) noexcept : map(nullptr, 0, 0), own_(std::move(values)) { look_at_own(); }
  /// The values of a matrix or an expression.
  template <class Expression>
  weights(const Eigen::EigenBase<Expression>& values) : weights(matrix<T>(values.derived())) {}
  weights(const weights& other) : weights(matrix<T>(other.as_map())) {}
  weights(weights&& other) noexcept : map(nullptr, 0, 0) { exchange(other); }
  ~weights() = default;

  /// Weights that lie at `data`, row after row without gaps. Who passes no keeper keeps the memory alive.
  [[nodiscard]] static weights borrow(T* data, index rows, index cols, std::shared_ptr<const void> keeper = nullptr) {
    weights w;
    w.look_at(data, rows, cols);
    w.keeper_ = std::move(keeper);
    return w;
  }

  weights& operator=(const weights& other) {
    if (this != &other) assign(other.as_map());
    return *this;
  }
  weights& operator=(weights&& other) noexcept {
    weights taken(std::move(other));  // so that what was here is released, and w = std::move(w) changes nothing
    exchange(taken);
    return *this;
  }
  template <class Expression>
  weights& operator=(const Eigen::EigenBase<Expression>& values) {
    assign(values.derived());
    return *this;
  }

  /// False if the memory is borrowed.
  [[nodiscard]] bool owns() const { return this->data() == own_.data(); }

  /// Another size means new memory of its own, the values unspecified; the same size changes nothing.
  void resize(index rows, index cols) {
    if (rows != this->rows() || cols != this->cols()) *this = weights(rows, cols);
  }

 private:
  [[nodiscard]] const map& as_map() const { return *this; }

  template <class Expression>
  void assign(const Expression& values) {
    if (values.rows() == this->rows() && values.cols() == this->cols())
      map::operator=(values);
    else
      *this = weights(matrix<T>(values));  // evaluated before the old memory goes: it may be among what is read
  }

  void look_at(T* data, index rows, index cols) noexcept {
    // How Eigen says to point a map elsewhere. Everything in a map is trivial, and no member of ours is as small as the
    // padding at its end.
    ::new (static_cast<void*>(static_cast<map*>(this))) map(data, rows, cols);
  }
  void look_at_own() noexcept { look_at(own_.data(), own_.rows(), own_.cols()); }

  void exchange(weights& other) noexcept {
    T* const data = this->data();
    const index rows = this->rows(), cols = this->cols();
    look_at(other.data(), other.rows(), other.cols());
    other.look_at(data, rows, cols);
    own_.swap(other.own_);  // pointers, so both data() stay where they are
    keeper_.swap(other.keeper_);
  }

  matrix<T> own_;
  std::shared_ptr<const void> keeper_;
};

/// True for `matrix<T>` and `weights<T>`: what a policy's params may be made of.
template <class M>
inline constexpr bool is_parameter_matrix = requires {
  typename M::Scalar;
  requires std::same_as<M, matrix<typename M::Scalar>> || std::same_as<M, weights<typename M::Scalar>>;
};

namespace detail {

/// The values of a parameter or of its gradient, which lie without gaps.
template <class M>
[[nodiscard]] auto values_of(M& m) {
  using plain = std::remove_const_t<M>;
  static_assert(std::is_base_of_v<Eigen::PlainObjectBase<plain>, plain> || is_parameter_matrix<plain>,
                "headgate: a whole matrix is needed here; a block or a map may have gaps between its rows");
  return std::span(m.data(), static_cast<std::size_t>(m.size()));
}

}  // namespace detail

/// Refuses a parameter that is not (rows x cols); `owner` and `name` say whose it is.
template <class M>
void check_shape(const char* owner, const char* name, const M& w, index rows, index cols) {
  if (w.rows() != rows || w.cols() != cols)
    refuse(owner, ": ", name, " is ", w.rows(), " x ", w.cols(), ", it must be ", rows, " x ", cols);
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
