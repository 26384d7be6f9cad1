// SPDX-License-Identifier: BSD-3-Clause
// A vector indexed by the library's signed `index`.
#pragma once

#include <headgate/config.hpp>

#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {

/// Writes no zeros to new elements without constructors of their own: zeroing the assignments of a batch that are
/// overwritten at once takes 2 to 3 ns a token. `array` asks for zeros where it promises them.
template <class T>
struct leaving_allocator : std::allocator<T> {
  leaving_allocator() = default;
  template <class U>
  leaving_allocator(const leaving_allocator<U>&) {}

  template <class U, class... Args>
  void construct(U* place, Args&&... args) {
    if constexpr (sizeof...(Args) == 0 && std::is_trivially_default_constructible_v<U>)
      ::new (static_cast<void*>(place)) U;
    else
      ::new (static_cast<void*>(place)) U(std::forward<Args>(args)...);
  }
};

}  // namespace detail

/// `std::vector` with signed sizes and subscripts, so that no loop needs a cast. Keeps its memory when it shrinks.
template <class T>
class array {
  static_assert(!std::is_same_v<T, bool>, "array: std::vector<bool> has no elements to point at; use scratch<bool>");

 public:
  using value_type = T;

  array() = default;
  explicit array(index count, const T& value = T{}) : items_(static_cast<std::size_t>(count), value) {}

  [[nodiscard]] index size() const { return static_cast<index>(items_.size()); }
  [[nodiscard]] bool empty() const { return items_.empty(); }
  [[nodiscard]] T& operator[](index i) { return items_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] const T& operator[](index i) const { return items_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] T* data() { return items_.data(); }
  [[nodiscard]] const T* data() const { return items_.data(); }
  [[nodiscard]] auto begin() { return items_.begin(); }
  [[nodiscard]] auto begin() const { return items_.begin(); }
  [[nodiscard]] auto end() { return items_.end(); }
  [[nodiscard]] auto end() const { return items_.end(); }
  [[nodiscard]] T& back() { return items_.back(); }
  [[nodiscard]] const T& back() const { return items_.back(); }

  void clear() { items_.clear(); }
  void reserve(index count) { items_.reserve(static_cast<std::size_t>(count)); }
  void resize(index count) {
    const index before = size();
    items_.resize(static_cast<std::size_t>(count));
    if constexpr (std::is_trivially_default_constructible_v<T>)
      if (count > before) std::uninitialized_value_construct(data() + before, data() + count);
  }
  /// New elements are left as the memory is, where T allows it: for a caller who writes them all.
  void resize_for_overwrite(index count) { items_.resize(static_cast<std::size_t>(count)); }
  void assign(index count, const T& value) { items_.assign(static_cast<std::size_t>(count), value); }
  void push_back(const T& item) { items_.push_back(item); }
  void push_back(T&& item) { items_.push_back(std::move(item)); }

 private:
  std::vector<T, detail::leaving_allocator<T>> items_;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
