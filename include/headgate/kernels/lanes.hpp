// SPDX-License-Identifier: BSD-3-Clause
// A row of any length as vectors: whole ones straight from memory, what is left through one padded vector.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

#include <xsimd/xsimd.hpp>

#include <cstdint>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

template <class T, class Arch>
inline constexpr index vector_width = static_cast<index>(xsimd::batch<T, Arch>::size);

namespace detail {

/// Names lane i's partner to xsimd: i with the bit `Distance` turned over.
template <index Distance>
struct partner {
  static constexpr unsigned get(unsigned lane, unsigned /*lanes*/) { return lane ^ static_cast<unsigned>(Distance); }
};

/// Unsigned integer as wide as T.
template <class T>
using bits_of = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

/// 0, 1, 2 ... as T.
template <class T, class Arch>
inline constexpr auto lane_numbers = [] {
  struct alignas(64) {
    T lane[xsimd::batch<T, Arch>::size];
  } numbers{};
  for (index i = 0; i < static_cast<index>(xsimd::batch<T, Arch>::size); ++i) numbers.lane[i] = static_cast<T>(i);
  return numbers;
}();

}  // namespace detail

/// Lane i gets what lane i ^ Distance holds; Distance is a power of two below the number of lanes.
template <index Distance, class T, class Arch>
[[nodiscard]] HEADGATE_ALWAYS_INLINE xsimd::batch<T, Arch> exchange_lanes(const xsimd::batch<T, Arch>& values) {
  // xsimd 8.1 permutes through a table across the whole register, which takes 4 to 8 cycles; within 128 bits there is an
  // instruction of one cycle. Routing to 8 experts takes 14.5 ns a token by tables and 13.3 so, to 64 experts 83 and 79.
  if constexpr (std::is_base_of_v<xsimd::avx, Arch> && sizeof(T) == 4 && Distance == 1) {
    return _mm256_permute_ps(values, 0b10'11'00'01);
  } else if constexpr (std::is_base_of_v<xsimd::avx, Arch> && sizeof(T) == 4 && Distance == 2) {
    return _mm256_permute_ps(values, 0b01'00'11'10);
  } else if constexpr (std::is_base_of_v<xsimd::avx, Arch> && sizeof(T) == 4) {
    return _mm256_permute2f128_ps(values, values, 1);
  } else {
    using lane_index = xsimd::batch<detail::bits_of<T>, Arch>;
    return xsimd::swizzle(values, xsimd::make_batch_constant<lane_index, detail::partner<Distance>>());
  }
}

/// a / b, rounded once. xsimd 8.1 multiplies floats on ARM by a reciprocal that two steps of Newton refined: 1/13 came out one
/// off in the last place.
template <class T, class Arch>
[[nodiscard]] HEADGATE_ALWAYS_INLINE xsimd::batch<T, Arch> quotient(const xsimd::batch<T, Arch>& a,
                                                                    const xsimd::batch<T, Arch>& b) {
  if constexpr (std::is_base_of_v<xsimd::neon64, Arch>)
    return a.data / b.data;  // the compiler's own division of vectors, one instruction
  else
    return a / b;
}

/// Elements first, first + 1, ... of a row, all lanes in use.
template <class T, class Arch>
struct whole_vector {
  using batch = xsimd::batch<T, Arch>;
  index first;

  [[nodiscard]] batch load(const T* row, T /*padding*/ = T{0}) const { return batch::load_unaligned(row + first); }
  void store(T* row, const batch& values) const { values.store_unaligned(row + first); }
};

/// The last `count` elements of a row, fewer than lanes: the other lanes read as padding and are not stored.
template <class T, class Arch>
struct part_vector {
  using batch = xsimd::batch<T, Arch>;
  index first;
  index count;

  [[nodiscard]] batch load(const T* row, T padding = T{0}) const {
    if (first > 0) return xsimd::select(own(), batch::load_unaligned(row + window()), batch(padding));
    // One lane after the other. Written to memory and read as a vector they would stall: softmax of 2 floats 29 ns, so 5.
    batch values(padding);
    for (index i = 0; i < count; ++i)
      values = xsimd::select(numbers() == batch(static_cast<T>(i)), batch(row[i]), values);
    return values;
  }
  void store(T* row, const batch& values) const {
    if (first > 0) {
      T* const to = row + window();
      xsimd::select(own(), values, batch::load_unaligned(to)).store_unaligned(to);
    } else {
      alignas(64) T lane[batch::size];
      values.store_aligned(lane);
      for (index i = 0; i < count; ++i) row[i] = lane[i];
    }
  }

 private:
  // After a whole vector the row has elements enough to load its last `width`, some of them a second time: no copy
  // element by element, whose reload as a vector stalls. A softmax of 20 floats took 88 ns with it and takes 30.
  [[nodiscard]] index window() const { return first + count - vector_width<T, Arch>; }
  [[nodiscard]] auto own() const { return numbers() >= batch(static_cast<T>(vector_width<T, Arch> - count)); }
  [[nodiscard]] static batch numbers() { return batch::load_aligned(detail::lane_numbers<T, Arch>.lane); }
};

/// Calls body(lanes) for each vector of a row of n elements, in order. The body is written once, for both kinds of
/// `lanes`, so an element goes through the same operations wherever it stands. Loads are unaligned: no result depends
/// on an address. A product that is added to something must be an explicit xsimd::fma in the body; left to the
/// compiler, the two instances of the body could be contracted differently.
template <class T, class Arch, class Body>
HEADGATE_ALWAYS_INLINE void for_each_vector(index n, Body&& body) {
  constexpr index width = vector_width<T, Arch>;
  index first = 0;
  for (; first + width <= n; first += width) body(whole_vector<T, Arch>{first});
  if (first < n) body(part_vector<T, Arch>{first, n - first});
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
