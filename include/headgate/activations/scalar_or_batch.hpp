// SPDX-License-Identifier: BSD-3-Clause
// What lets one formula serve a number and a vector of numbers, beside the functions that xsimd has for both.
#pragma once

#include <headgate/config.hpp>

#include <xsimd/xsimd.hpp>

#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {
template <class V>
struct scalar_type {
  using type = typename V::value_type;
};
template <std::floating_point V>
struct scalar_type<V> {
  using type = V;
};
}  // namespace detail

/// float or double: V itself, or what V is a vector of.
template <class V>
using scalar_of = typename detail::scalar_type<V>::type;

/// The constant c as a V, in every lane.
template <class V>
[[nodiscard]] V number(double c) {
  return V(static_cast<scalar_of<V>>(c));
}

/// a where the condition holds and b elsewhere, lane by lane. Both are computed.
template <std::floating_point V>
[[nodiscard]] V choose(bool condition, V a, V b) {
  return condition ? a : b;
}
template <class T, class Arch>
[[nodiscard]] xsimd::batch<T, Arch> choose(const xsimd::batch_bool<T, Arch>& condition, const xsimd::batch<T, Arch>& a,
                                           const xsimd::batch<T, Arch>& b) {
  return xsimd::select(condition, a, b);
}

/// x, but `floor` where x is below it. A NaN stays.
template <std::floating_point V>
[[nodiscard]] V not_below(V floor, V x) {
  return x < floor ? floor : x;
}
template <class T, class Arch>
[[nodiscard]] xsimd::batch<T, Arch> not_below(const xsimd::batch<T, Arch>& floor, const xsimd::batch<T, Arch>& x) {
  return (xsimd::max)(floor, x);  // which keeps a NaN in its second place
}

/// x g, and 0 where g is 0 even if x is infinite: the limit wherever g falls faster than x grows.
template <class V>
[[nodiscard]] V fading_product(V x, V g) {
  return choose(g == number<V>(0), number<V>(0), x * g);
}

/// x g + c in one rounding, and c where g is 0 even if x is infinite.
template <class V>
[[nodiscard]] V fading_fma(V x, V g, V c) {
  return choose(g == number<V>(0), c, xsimd::fma(x, g, c));
}

/// c[0] + c[1] x + c[2] x^2 + ..., one rounding for each power where the hardware has fma.
template <class V, std::size_t N>
[[nodiscard]] V horner(const double (&c)[N], V x) {
  V sum = number<V>(c[N - 1]);
  for (std::size_t i = N - 1; i-- > 0;) sum = xsimd::fma(sum, x, number<V>(c[i]));
  return sum;
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
