// SPDX-License-Identifier: BSD-3-Clause
// The exponential function, for a number and for a vector of numbers.
#pragma once

#include <headgate/config.hpp>

#include <xsimd/xsimd.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

namespace detail {

/// e^x = 2^n e^r with n = round(x / ln 2) and r = x - n ln 2, |r| <= ln 2 / 2; e^r = 1 + r + r^2 q(r).
template <class T>
struct exp_constants;

template <>
struct exp_constants<float> {
  using bits = std::uint32_t;
  static constexpr int mantissa = 23;
  // Adding it rounds to an integer n and leaves n + 127, the exponent field of 2^n, in the low bits of the sum.
  static constexpr float round = 12582912.0f + 127.0f;  // 1.5 * 2^23 + bias
  static constexpr float ln2_high = 0.693359375f;       // 9 bits: n ln2_high is exact, with or without fma
  static constexpr float ln2_low = -2.12194440055e-4f;
  static constexpr float lowest = -88.0f;  // n = -127, whose exponent field makes the power 0
  static constexpr float highest = 89.0f;  // above the logarithm of the largest number; n = 128
  static constexpr float largest_n = 127.0f;
  // Minimax in relative error (Remez): 3.1e-9, a twentieth of half an ulp. Degree 3 would give 1.05e-7, an ulp of its own.
  static constexpr float q[] = {0.49999993448f, 0.16666520632f, 0.041668388045f, 0.0083687168797f, 0.0013814598647f};
};

template <>
struct exp_constants<double> {
  using bits = std::uint64_t;
  static constexpr int mantissa = 52;
  static constexpr double round = 6755399441055744.0 + 1023.0;  // 1.5 * 2^52 + bias
  static constexpr double ln2_high = 0x1.62e42fee00000p-1;      // 32 bits
  static constexpr double ln2_low = 0x1.a39ef35793c76p-33;
  static constexpr double lowest = -709.0;
  static constexpr double highest = 710.0;
  static constexpr double largest_n = 1023.0;
  // Interpolates at the Chebyshev nodes: relative error 1.7e-17.
  static constexpr double q[] = {0.500000000000000102,    0.166666666666666675,    0.0416666666666241279,
                                 0.00833333333333006183,  0.00138888889172137169,  0.000198412698630536169,
                                 2.48015212959543751e-05, 2.75572684599970648e-06, 2.76200884454097482e-07,
                                 2.51003854955103191e-08};
};

/// p = e^r and n, for x of at least `lowest`. NaN goes through to p.
template <class T, class Arch>
struct reduced_exp {
  using batch = xsimd::batch<T, Arch>;
  using constants = exp_constants<T>;
  batch rounded;  // n + constants::round
  batch n;
  batch p;

  HEADGATE_ALWAYS_INLINE explicit reduced_exp(const batch& x)
      : rounded(xsimd::fma(x, batch(T(1.4426950408889634074)), batch(constants::round))),
        n(rounded - batch(constants::round)) {
    const batch r = xsimd::fnma(n, batch(constants::ln2_low), xsimd::fnma(n, batch(constants::ln2_high), x));
    constexpr std::size_t count = sizeof(constants::q) / sizeof(T);
    p = batch(constants::q[count - 1]);
    for (std::size_t i = count - 1; i-- > 0;) p = xsimd::fma(p, r, batch(constants::q[i]));
    p = xsimd::fma(p, r, batch(T{1}));
    p = xsimd::fma(p, r, batch(T{1}));
  }
};

/// 2^n from n + constants::round, for -127 <= n <= 128 (-1023 <= n <= 1024); the borders give 0 and infinity.
template <class T, class Arch>
[[nodiscard]] HEADGATE_ALWAYS_INLINE xsimd::batch<T, Arch> power_of_two(const xsimd::batch<T, Arch>& rounded) {
  using bits = xsimd::batch<typename exp_constants<T>::bits, Arch>;
  return xsimd::bitwise_cast<xsimd::batch<T, Arch>>(xsimd::bitwise_cast<bits>(rounded) << exp_constants<T>::mantissa);
}

}  // namespace detail

/// Up to here (and not beyond) `exp_bounded` may be called; from 88.4 (709.5) on it says infinity.
template <class T>
inline constexpr T exp_bound = sizeof(T) == 4 ? T(88.7) : T(709.7);

/// e^x for x <= exp_bound, or NaN: the part of the line that softmax and the sigmoid need. Up to 88 (709) it has the bits
/// of `exp`, for a fifth less time. Beyond the bound it returns anything.
template <class T, class Arch>
[[nodiscard]] HEADGATE_ALWAYS_INLINE xsimd::batch<T, Arch> exp_bounded(const xsimd::batch<T, Arch>& x) {
  using batch = xsimd::batch<T, Arch>;
  // x stands second, where max keeps a NaN.
  const detail::reduced_exp<T, Arch> e((xsimd::max)(batch(detail::exp_constants<T>::lowest), x));
  return e.p * detail::power_of_two(e.rounded);
}

/// e^x to 1 ulp of the true value wherever that is a normal number; below, the number next to it or 0. e^-inf = 0,
/// e^inf = inf, e^NaN = NaN. Every lane goes through the same operations; there is no branch.
template <class T, class Arch>
[[nodiscard]] HEADGATE_ALWAYS_INLINE xsimd::batch<T, Arch> exp(const xsimd::batch<T, Arch>& x) {
  using batch = xsimd::batch<T, Arch>;
  using constants = detail::exp_constants<T>;
  const detail::reduced_exp<T, Arch> e(
      (xsimd::min)(batch(constants::highest), (xsimd::max)(batch(constants::lowest), x)));
  // 2^128 is no number: the last power is made of 2^127 and a factor 1 + (n - 127).
  const batch n = (xsimd::min)(batch(constants::largest_n), e.n);
  const batch most = e.p * detail::power_of_two(n + batch(constants::round));
  return xsimd::fma(most, e.n - n, most);
}

/// The same for one number: a vector's lane, hence with the vector's bits.
template <std::floating_point T>
[[nodiscard]] T exp(T x) {
  return kernels::exp(xsimd::batch<T>(x)).get(0);
}
template <std::floating_point T>
[[nodiscard]] T exp_bounded(T x) {
  return kernels::exp_bounded(xsimd::batch<T>(x)).get(0);
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
