// SPDX-License-Identifier: BSD-3-Clause
// A number as a narrower type would hold it: the casts that 16-bit models make on the way.
#pragma once

#include <headgate/config.hpp>

#include <bit>
#include <concepts>
#include <cstdint>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {

/// x as a float that rounds to 16 bits as x itself does. The nearest float would be rounded a second time: what it made a
/// tie was none. So: towards zero, and the last bit set where that was not exact ("round to odd").
[[nodiscard]] inline float float_to_round(float x) { return x; }
[[nodiscard]] inline float float_to_round(double x) {
  const auto nearest = static_cast<float>(x);
  if (static_cast<double>(nearest) == x || x != x) return nearest;
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  const bool beyond = x < 0 ? static_cast<double>(nearest) < x : static_cast<double>(nearest) > x;
  return std::bit_cast<float>((beyond ? bits - 1 : bits) | 1U);
}

}  // namespace detail

/// x rounded to the nearest number of type Storage (bf16, fp16, float), ties to even, and back.
template <class Storage, std::floating_point T>
[[nodiscard]] T round_to(T x) {
  if constexpr (std::is_floating_point_v<Storage>)
    return static_cast<T>(static_cast<Storage>(x));
  else
    return static_cast<T>(static_cast<float>(Storage(detail::float_to_round(x))));
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
