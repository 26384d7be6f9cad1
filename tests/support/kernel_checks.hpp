// SPDX-License-Identifier: BSD-3-Clause
// What tests of kernels share: rows at any alignment between guards, awkward numbers, distances in ulp.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

namespace headgate_test {

namespace hg = headgate;

template <class T>
inline constexpr T infinity = std::numeric_limits<T>::infinity();
template <class T>
inline constexpr T not_a_number = std::numeric_limits<T>::quiet_NaN();
template <class T>
inline constexpr T denormal = std::numeric_limits<T>::denorm_min() * 3;
template <class T>
inline constexpr T epsilon = std::numeric_limits<T>::epsilon();

template <class T>
inline constexpr hg::index width = static_cast<hg::index>(xsimd::batch<T>::size);

/// Every interesting length: none, fewer than a vector, and up to three vectors with each rest.
template <class T>
inline constexpr hg::index longest_row = 3 * width<T> + 1;

/// (rows x cols) that start `offset` elements after a 64-byte boundary and lie `gap` elements apart, between guards: a
/// kernel that writes an element which is not its own changes a guard.
template <class T>
class guarded {
 public:
  guarded(hg::index rows, hg::index cols, hg::index offset = 0, hg::index gap = 0)
      : rows_(rows),
        cols_(cols),
        stride_(cols + gap),
        memory_(static_cast<std::size_t>(rows * (cols + gap)) + 256, guard) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data() + 64);
    const auto to_boundary = (64 - address % 64) % 64 / sizeof(T);
    first_ = 64 + static_cast<hg::index>(to_boundary) + offset;
  }
  guarded(const guarded&) = delete;  // a copy would lie at another alignment
  guarded& operator=(const guarded&) = delete;

  [[nodiscard]] hg::view<T> view() { return {memory_.data() + first_, rows_, cols_, stride_}; }
  [[nodiscard]] T* row(hg::index r = 0) { return view().row(r); }
  [[nodiscard]] T& operator()(hg::index r, hg::index c) { return view()(r, c); }

  template <class F>
  void fill(F next) {
    for (hg::index r = 0; r < rows_; ++r)
      for (hg::index c = 0; c < cols_; ++c) view()(r, c) = next();
  }
  void copy(hg::view<const T> from) {
    for (hg::index r = 0; r < rows_; ++r) std::copy_n(from.row(r), cols_, row(r));
  }

  /// True if nothing beside the rows has been written.
  [[nodiscard]] bool guards_are_intact() const {
    for (hg::index i = 0; i < static_cast<hg::index>(memory_.size()); ++i) {
      const hg::index inside = i - first_;
      const bool own = inside >= 0 && inside < rows_ * stride_ && inside % stride_ < cols_;
      if (!own && memory_[static_cast<std::size_t>(i)] != guard) return false;
    }
    return true;
  }

 private:
  static constexpr T guard = T(-7.5e30);  // large, so that reading it shows in sums too
  hg::index rows_, cols_, stride_;
  std::vector<T> memory_;
  hg::index first_ = 0;
};

/// Numbers for tests, the same everywhere (SplitMix64; Steele et al. 2014).
class numbers {
 public:
  explicit numbers(std::uint64_t seed) : state_(seed) {}

  std::uint64_t bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// In [0, count).
  hg::index below(hg::index count) { return static_cast<hg::index>(bits() % static_cast<std::uint64_t>(count)); }
  /// In [-range, range).
  template <class T>
  T within(T range) {
    return static_cast<T>((static_cast<double>(bits() >> 11) * 0x1p-52 - 1.0) * static_cast<double>(range));
  }
  /// Any of infinity, NaN, denormal, zero of either sign, largest, smallest, or an ordinary number.
  template <class T>
  T awkward() {
    using limits = std::numeric_limits<T>;
    const T special[] = {infinity<T>, -infinity<T>, not_a_number<T>, denormal<T>,      -denormal<T>,
                         T{0},        -T{0},        (limits::max)(), limits::lowest(), (limits::min)()};
    const hg::index pick = below(20);
    return pick < 10 ? special[pick] : within(T{2});
  }

 private:
  std::uint64_t state_;
};

/// The same bits; any NaN equals any NaN, because an operation on two of them may return either.
template <class T>
bool same_bits(T a, T b) {
  using bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  return (a != a && b != b) || std::bit_cast<bits>(a) == std::bit_cast<bits>(b);
}

template <class T>
bool same_bits(hg::view<T> a, hg::view<T> b) {
  if (a.rows != b.rows || a.cols != b.cols) return false;
  for (hg::index r = 0; r < a.rows; ++r)
    for (hg::index c = 0; c < a.cols; ++c)
      if (!same_bits(a(r, c), b(r, c))) return false;
  return true;
}

/// |a - b| in units in the last place of b, or of the smallest normal number if b is smaller; 0 if both are the same
/// infinity or both NaN, and infinite if only one is.
template <class T>
double ulps(T a, T b) {
  if (same_bits(a, b)) return 0;
  if (!std::isfinite(a) || !std::isfinite(b)) return infinity<double>;
  const T size = (std::max)(std::abs(b), (std::numeric_limits<T>::min)());
  return static_cast<double>(std::abs(a - b)) / (static_cast<double>(epsilon<T>) * std::exp2(std::ilogb(size)));
}

/// The largest of ulps() over all elements.
template <class T>
double ulps(hg::view<T> a, hg::view<T> b) {
  double worst = 0;
  for (hg::index r = 0; r < a.rows; ++r)
    for (hg::index c = 0; c < a.cols; ++c) worst = (std::max)(worst, ulps(a(r, c), b(r, c)));
  return worst;
}

}  // namespace headgate_test
