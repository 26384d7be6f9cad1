// SPDX-License-Identifier: BSD-3-Clause
// Memory that is reused from pass to pass: it grows to the largest size asked for and then stays.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

#include <algorithm>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A cache line, and the widest vector of any instruction set we know.
inline constexpr std::size_t alignment = 64;

/// A 64-byte aligned block of T. `resize` keeps nothing and allocates only beyond the largest size so far; its layout
/// and allocator do not depend on the compiler's instruction set, as those of Eigen's matrices do.
template <class T>
class scratch {
  static_assert(std::is_trivially_copyable_v<T>, "scratch: holds plain numbers only");

 public:
  scratch() = default;
  scratch(const scratch& other) {
    resize(other.rows_, other.cols_);
    std::copy_n(other.data(), size(), data());
  }
  scratch(scratch&& other) noexcept
      : memory_(std::move(other.memory_)),
        capacity_(std::exchange(other.capacity_, 0)),
        rows_(std::exchange(other.rows_, 0)),
        cols_(std::exchange(other.cols_, 0)) {}
  scratch& operator=(scratch other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(capacity_, other.capacity_);
    std::swap(rows_, other.rows_);
    std::swap(cols_, other.cols_);
    return *this;
  }
  ~scratch() = default;

  /// (rows x cols), the values unspecified.
  view<T> resize(index rows, index cols) {
    reserve(rows * cols);
    rows_ = rows;
    cols_ = cols;
    return block();
  }
  /// (rows x cols) of zeros.
  view<T> zero(index rows, index cols) {
    resize(rows, cols);
    std::fill_n(data(), size(), T{});
    return block();
  }

  [[nodiscard]] index rows() const { return rows_; }
  [[nodiscard]] index cols() const { return cols_; }
  [[nodiscard]] index size() const { return rows_ * cols_; }
  [[nodiscard]] T* data() { return memory_.get(); }
  [[nodiscard]] const T* data() const { return memory_.get(); }
  [[nodiscard]] T* row(index r) { return data() + r * cols_; }
  [[nodiscard]] const T* row(index r) const { return data() + r * cols_; }
  [[nodiscard]] T& operator()(index r, index c) { return row(r)[c]; }
  [[nodiscard]] const T& operator()(index r, index c) const { return row(r)[c]; }
  [[nodiscard]] view<T> block() { return {data(), rows_, cols_}; }
  [[nodiscard]] view<const T> block() const { return {data(), rows_, cols_}; }

 private:
  struct release {
    void operator()(T* memory) const { ::operator delete (memory, std::align_val_t{alignment}); }
  };

  void reserve(index count) {
    if (count <= capacity_) return;
    memory_.reset();                // before the new block: the peak is one block, not two
    capacity_ = rows_ = cols_ = 0;  // what is left if there is no memory
    memory_.reset(
        static_cast<T*>(::operator new (static_cast<std::size_t>(count) * sizeof(T), std::align_val_t{alignment})));
    capacity_ = count;
  }

  std::unique_ptr<T[], release> memory_;
  index capacity_ = 0;
  index rows_ = 0;
  index cols_ = 0;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
