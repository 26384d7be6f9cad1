// SPDX-License-Identifier: BSD-3-Clause
// Search for NaN and infinity by their bits, which no compiler flag can optimise away.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>
#include <headgate/kernels/lanes.hpp>

#include <xsimd/xsimd.hpp>

#include <bit>
#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

namespace detail {

/// The exponent bits: all of them are set in NaN and infinity and in nothing else.
template <class T>
inline constexpr bits_of<T> exponent_bits = std::bit_cast<bits_of<T>>(std::numeric_limits<T>::infinity());

}  // namespace detail

/// True if x is neither NaN nor infinite, also under -ffinite-math-only, where std::isfinite is always true.
template <class T>
[[nodiscard]] bool is_finite(T x) {
  return (std::bit_cast<detail::bits_of<T>>(x) & detail::exponent_bits<T>) != detail::exponent_bits<T>;
}

/// The first column of a row of n elements that is NaN or infinite; -1 if there is none.
template <class Arch = xsimd::default_arch, class T>
[[nodiscard]] index first_not_finite_in_row(const T* x, index n) {
  using bits = xsimd::batch<detail::bits_of<T>, Arch>;
  constexpr index width = vector_width<T, Arch>;
  const bits exponent(detail::exponent_bits<T>);
  index i = 0;
  for (; i + width <= n; i += width) {
    const auto lanes = xsimd::bitwise_cast<bits>(xsimd::batch<T, Arch>::load_unaligned(x + i));
    if (xsimd::any((lanes & exponent) == exponent)) break;
  }
  for (; i < n; ++i)
    if (!is_finite(x[i])) return i;
  return -1;
}

/// True if x is -infinity, by its bits too: the logit of an expert that is switched off.
template <class T>
[[nodiscard]] bool is_minus_infinity(T x) {
  return std::bit_cast<detail::bits_of<T>>(x) == std::bit_cast<detail::bits_of<T>>(-std::numeric_limits<T>::infinity());
}

/// The first column of a row of n elements that is NaN or +infinity; -1 if there is none.
template <class Arch = xsimd::default_arch, class T>
[[nodiscard]] index first_nan_or_plus_infinity_in_row(const T* x, index n) {
  for (index i = 0; i < n; ++i) {
    const index next = first_not_finite_in_row<Arch>(x + i, n - i);
    if (next < 0) return -1;
    i += next;
    if (!is_minus_infinity(x[i])) return i;
  }
  return -1;
}

/// The first NaN or infinity of x (rows x cols) as row * cols + column, in reading order; -1 if there is none.
template <class Arch = xsimd::default_arch, class T>
[[nodiscard]] index first_not_finite(view<T> x) {
  for (index r = 0; r < x.rows; ++r) {
    const index column = first_not_finite_in_row<Arch>(static_cast<const T*>(x.row(r)), x.cols);
    if (column >= 0) return r * x.cols + column;
  }
  return -1;
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
