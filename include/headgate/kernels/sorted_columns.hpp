// SPDX-License-Identifier: BSD-3-Clause
// The largest elements of each lane of a stream of vectors, by a sorting network: no branch, no index.
#pragma once

#include <headgate/config.hpp>
#include <headgate/kernels/lanes.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

namespace detail {

/// Pairs (a, b) of places, a < b: the larger of the two goes to a.
struct comparator {
  std::size_t a, b;
};

/// Calls f(comparator) for Batcher's odd-even merge sort of `size` places (1968): 1, 5, 19, 63 for 2, 4, 8, 16.
template <class F>
constexpr void for_each_sorting_comparator(std::size_t size, F&& f) {
  for (std::size_t sorted = 1; sorted < size; sorted *= 2)
    for (std::size_t gap = sorted; gap >= 1; gap /= 2)
      for (std::size_t j = gap % sorted; j + gap < size; j += 2 * gap)
        for (std::size_t i = j; i < j + gap; ++i)
          if (i / (2 * sorted) == (i + gap) / (2 * sorted)) f(comparator{i, i + gap});
}

/// The same for places that fall and then rise (Batcher's bitonic merge): log2(size) * size / 2.
template <class F>
constexpr void for_each_merging_comparator(std::size_t size, F&& f) {
  for (std::size_t gap = size / 2; gap >= 1; gap /= 2)
    for (std::size_t i = 0; i < size; ++i)
      if ((i & gap) == 0) f(comparator{i, i + gap});
}

struct sorting {
  template <class F>
  static constexpr void for_each(std::size_t size, F&& f) {
    for_each_sorting_comparator(size, f);
  }
};
struct merging {
  template <class F>
  static constexpr void for_each(std::size_t size, F&& f) {
    for_each_merging_comparator(size, f);
  }
};

template <class Network, std::size_t Size>
inline constexpr std::size_t comparators = [] {
  std::size_t count = 0;
  Network::for_each(Size, [&](comparator) { ++count; });
  return count;
}();

template <class Network, std::size_t Size>
inline constexpr auto network = [] {
  std::array<comparator, comparators<Network, Size>> all{};
  std::size_t count = 0;
  Network::for_each(Size, [&](comparator one) { all[count++] = one; });
  return all;
}();

template <std::size_t Lane>
struct is_lane {
  static constexpr bool get(std::size_t lane, std::size_t /*lanes*/) { return lane == Lane; }
};
/// True in one lane, known at compile time: a blend of such a mask is one instruction.
template <std::size_t Lane, class T, class Arch>
constexpr auto only_lane() {
  return xsimd::make_batch_bool_constant<xsimd::batch<T, Arch>, is_lane<Lane>>();
}

}  // namespace detail

/// In each lane the `Depth` (1, 2, 4, 8 or 16) largest numbers that were added, largest first; -inf where there were
/// fewer. Of the numbers alone: which one came from where is not kept. A NaN may displace any number of its lane.
template <index Depth, class T, class Arch>
class sorted_columns {
  using batch = xsimd::batch<T, Arch>;
  static constexpr auto depth = static_cast<std::size_t>(Depth);
  using every_place = std::make_index_sequence<depth>;

 public:
  static constexpr T lowest = -std::numeric_limits<T>::infinity();

  /// Starts with all vectors of a row of n elements.
  HEADGATE_ALWAYS_INLINE sorted_columns(const T* row, index n) {
    constexpr index block = Depth * vector_width<T, Arch>;
    load(row, n, 0, places_, every_place{});
    apply<detail::sorting>(places_);
    for (index first = block; first < n; first += block) {
      batch more[depth];
      load(row, n, first, more, every_place{});
      apply<detail::sorting>(more);
      keep_larger(more, every_place{});
      apply<detail::merging>(places_);
    }
  }

  /// Makes one list of the `Depth` largest numbers of all lanes, in every lane, and returns the k-th largest of them;
  /// 1 <= k <= Depth. For k = Depth the list stays unsorted: that saves the last 12 of 55 comparators of 8 places.
  HEADGATE_ALWAYS_INLINE batch merge_lanes(index k) {
    merge_lanes_apart<vector_width<T, Arch> / 2>(k < Depth);
    if constexpr (Depth > 1) {  // for 1 place g++ 12 warns of an index of -1 that no k makes
      if (k < Depth) return places_[k - 1];
    }
    return smallest(every_place{});
  }

  /// Of a merged list: numbers first, first + 1, ... in the lanes of one vector, -inf beyond the last. In falling order if
  /// k < Depth.
  [[nodiscard]] HEADGATE_ALWAYS_INLINE batch transposed(index first, index k) const {
    constexpr auto lanes = std::make_index_sequence<(std::min)(depth, batch::size)>{};
    return k < Depth ? transposed<true>(first, lanes) : transposed<false>(first, lanes);
  }

 private:
  // Every step has constant places (and is a function of its own, because lambdas are not inlined for certain), so that
  // the vectors stay in registers also where the compiler unrolls no loops.
  template <class Network>
  HEADGATE_ALWAYS_INLINE static void apply(batch (&v)[depth]) {
    apply<Network>(v, std::make_index_sequence<detail::network<Network, depth>.size()>{});
  }
  template <class Network, std::size_t... Step>
  HEADGATE_ALWAYS_INLINE static void apply(batch (&v)[depth], std::index_sequence<Step...>) {
    constexpr auto& steps = detail::network<Network, depth>;
    (exchange(v[steps[Step].a], v[steps[Step].b]), ...);
  }
  HEADGATE_ALWAYS_INLINE static void exchange(batch& a, batch& b) {
    const batch larger = (xsimd::max)(a, b);
    b = (xsimd::min)(a, b);
    a = larger;
  }

  /// Of two sorted lists the larger half, not sorted: falls, then rises.
  template <std::size_t... Place>
  HEADGATE_ALWAYS_INLINE void keep_larger(const batch (&other)[depth], std::index_sequence<Place...>) {
    ((places_[Place] = (xsimd::max)(places_[Place], other[depth - 1 - Place])), ...);
  }

  /// Merges lanes `Distance` apart, then those closer.
  template <index Distance>
  HEADGATE_ALWAYS_INLINE void merge_lanes_apart(bool sort_last) {
    if constexpr (Distance > 0) {
      merge_partners<Distance>(every_place{});
      if (Distance > 1 || sort_last) apply<detail::merging>(places_);
      merge_lanes_apart<Distance / 2>(sort_last);
    }
  }
  template <index Distance, std::size_t... Place>
  HEADGATE_ALWAYS_INLINE void merge_partners(std::index_sequence<Place...> all) {
    const batch partner[depth] = {exchange_lanes<Distance>(places_[Place])...};
    keep_larger(partner, all);
  }

  template <std::size_t... Place>
  HEADGATE_ALWAYS_INLINE batch smallest(std::index_sequence<Place...>) const {
    batch least = places_[0];
    ((least = (xsimd::min)(least, places_[Place])), ...);
    return least;
  }

  template <bool Sorted, std::size_t... Lane>
  HEADGATE_ALWAYS_INLINE batch transposed(index first, std::index_sequence<Lane...>) const {
    batch list(lowest);
    ((list = xsimd::select(detail::only_lane<Lane, T, Arch>(),
                           number<Sorted, Lane>(static_cast<std::size_t>(first) + Lane), list)),
     ...);
    return list;
  }
  /// The vector whose lane `Lane` has number i. After an unsorted merge odd lanes have their neighbour's list reversed.
  template <bool Sorted, std::size_t Lane>
  HEADGATE_ALWAYS_INLINE const batch& number(std::size_t i) const {
    return places_[Sorted || Lane % 2 == 0 ? i : depth - 1 - i];
  }

  template <std::size_t... Place>
  HEADGATE_ALWAYS_INLINE static void load(const T* row, index n, index first, batch (&to)[depth],
                                          std::index_sequence<Place...>) {
    constexpr index width = vector_width<T, Arch>;
    if (first + Depth * width <= n)
      ((to[Place] = batch::load_unaligned(row + first + static_cast<index>(Place) * width)), ...);
    else
      ((to[Place] = load_part(row, n, first + static_cast<index>(Place) * width)), ...);
  }
  static batch load_part(const T* row, index n, index at) {
    if (at + vector_width<T, Arch> <= n) return batch::load_unaligned(row + at);
    return at < n ? part_vector<T, Arch>{at, n - at}.load(row, lowest) : batch(lowest);
  }

  batch places_[depth];
};

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
