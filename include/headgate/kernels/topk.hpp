// SPDX-License-Identifier: BSD-3-Clause
// The k largest elements of a row, ties to the lower index.
#pragma once

#include <headgate/config.hpp>
#include <headgate/kernels/lane_mask.hpp>
#include <headgate/kernels/lanes.hpp>
#include <headgate/kernels/reduce.hpp>
#include <headgate/kernels/sorted_columns.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

namespace detail {

/// A number ranks before every smaller one and before NaN.
template <class T>
bool ranks_before(T a, T b) {
  return a > b || (a == a && b != b);
}

/// Up to this k a sorted list is used, beyond it a heap. On random rows the list takes half the time of the heap for
/// every k up to 128; but on a rising row, where each element is inserted in front, its time grows with n k.
inline constexpr index longest_list = 64;

/// Calls meet(i) in order for the elements i in [first, n) that may rank before the one that worst() returns. Most
/// elements do not, and are passed over a vector at a time.
template <class Arch, class T, class Worst, class Meet>
HEADGATE_ALWAYS_INLINE void for_each_candidate(const T* s, index first, index n, const Worst& worst, const Meet& meet) {
  using batch = xsimd::batch<T, Arch>;
  constexpr index width = vector_width<T, Arch>;
  index i = first;
  for (; i + width <= n; i += width) {
    // "Not at most" rather than "greater": true also where one of the two is NaN.
    if (xsimd::all(batch::load_unaligned(s + i) <= batch(worst()))) continue;
    for (index j = i; j < i + width; ++j) meet(j);
  }
  for (; i < n; ++i) meet(i);
}

/// The k best by insertion into a sorted list, k <= longest_list.
template <class Arch, class T>
void topk_by_list(const T* s, index n, index k, index* ids) {
  T best[longest_list];  // sorted, best[i] = s[ids[i]]
  index count = 0;
  // Elements come in order of their index: a new one goes behind its equals.
  const auto insert = [&](index i) {
    index place = count < k ? count++ : k - 1;
    for (; place > 0 && ranks_before(s[i], best[place - 1]); --place) {
      best[place] = best[place - 1];
      ids[place] = ids[place - 1];
    }
    best[place] = s[i];
    ids[place] = i;
  };
  for (index i = 0; i < k; ++i) insert(i);
  const auto worst = [&] { return best[k - 1]; };
  for_each_candidate<Arch>(s, k, n, worst, [&](index i) {
    if (ranks_before(s[i], best[k - 1])) insert(i);
  });
}

/// The k best by a heap, any k >= 1.
template <class Arch, class T>
void topk_by_heap(const T* s, index n, index k, index* ids) {
  const auto before = [s](index a, index b) {
    return ranks_before(s[a], s[b]) || (!ranks_before(s[b], s[a]) && a < b);
  };
  for (index i = 0; i < k; ++i) ids[i] = i;
  std::make_heap(ids, ids + k, before);  // the worst of the k on top
  const auto worst = [&] { return s[ids[0]]; };
  for_each_candidate<Arch>(s, k, n, worst, [&](index i) {
    if (!before(i, ids[0])) return;
    std::pop_heap(ids, ids + k, before);
    ids[k - 1] = i;
    std::push_heap(ids, ids + k, before);
  });
  std::sort_heap(ids, ids + k, before);
}

/// Bits 0 ... min(n, 64) - 1: which of s_0, s_1, ... are at least `least`.
template <class Arch, class T>
HEADGATE_ALWAYS_INLINE std::uint64_t at_least_mask(const T* s, index n, const xsimd::batch<T, Arch>& least) {
  using batch = xsimd::batch<T, Arch>;
  constexpr index width = vector_width<T, Arch>;
  std::uint64_t mask = 0;
  index i = 0;
  for (; i + width <= n; i += width) mask |= std::uint64_t{mask_of(batch::load_unaligned(s + i) >= least)} << i;
  if (i == n) return mask;
  if (n > width)  // the row's last full vector, of whose lanes the upper ones are new
    return mask | std::uint64_t{mask_of(batch::load_unaligned(s + n - width) >= least) >> (width - (n - i))} << i;
  const T bound = least.get(0);
  for (; i < n; ++i) mask |= std::uint64_t{s[i] >= bound} << i;
  return mask;
}

/// The k best of one vector, n <= width, by k rounds of the maximum; false as below.
template <class Arch, class T>
HEADGATE_ALWAYS_INLINE bool topk_in_vector(const T* s, index n, index k, index* ids) {
  using batch = xsimd::batch<T, Arch>;
  constexpr T lowest = -std::numeric_limits<T>::infinity();
  const batch all = n == vector_width<T, Arch> ? batch::load_unaligned(s) : part_vector<T, Arch>{0, n}.load(s, lowest);
  batch left = all;
  std::uint32_t ties = 0;
  for (index i = 0; i < k; ++i) {
    const auto is_best = all == max_in_all_lanes(left);
    const std::uint32_t mask = mask_of(is_best);
    ids[i] = std::countr_zero(mask);
    ties |= mask & (mask - 1);
    left = xsimd::select(is_best, batch(lowest), left);
  }
  // With a NaN neither the maximum nor its being the same in all lanes is certain. Padding is no danger: it is -inf, and
  // found, if at all, together with an element of -inf.
  return ties == 0 && mask_of(all >= batch(lowest)) == (std::uint32_t{1} << vector_width<T, Arch>)-1;
}

/// The k best by a threshold, k <= Depth; false if it cannot tell them (equal elements among the best, NaN).
///
/// The network proposes the k largest numbers. If exactly k elements are at least the smallest of those, they are the k
/// best, and if they take k different places among the proposed numbers, these are their order, whatever the network
/// did with a NaN. No branch depends on the values.
template <index Depth, class Arch, class T>
bool topk_by_threshold(const T* s, index n, index k, index* ids) {
  using batch = xsimd::batch<T, Arch>;
  constexpr index width = vector_width<T, Arch>;
  sorted_columns<Depth, T, Arch> best(s, n);
  const batch least(best.merge_lanes(k).get(0));  // the same in all lanes, also where a NaN made them differ
  constexpr index lists = (Depth + width - 1) / width;
  batch list[static_cast<std::size_t>(lists)];  // the proposed numbers, one in each lane
  for (index i = 0; i < lists; ++i) list[i] = best.transposed(i * width, k);

  index count = 0;
  std::uint32_t places = 0;
  for (index first = 0; first < n; first += 64) {
    std::uint64_t mask = at_least_mask<Arch>(s + first, (std::min)(n - first, index{64}), least);
    const index here = std::popcount(mask);
    count += here;
    if (count > k) return false;
    for (index i = 0; i < here; ++i, mask &= mask - 1) {
      const index id = first + std::countr_zero(mask);
      const batch own(s[id]);
      index place = 0;
      for (index j = 0; j < lists; ++j) place += std::popcount(mask_of(list[j] > own));
      if (place >= k) return false;  // a NaN has put the numbers out of order
      ids[place] = id;
      places |= std::uint32_t{1} << place;
    }
  }
  return places == (std::uint32_t{1} << k) - 1;
}

/// Up to this k a row of one vector is searched by rounds.
inline constexpr index most_rounds = 4;

/// Up to this k the network is tried first.
inline constexpr index deepest_network = 16;

/// The network of the least depth for k.
template <class Arch, class T>
bool topk_by_threshold(const T* s, index n, index k, index* ids) {
  if (k <= 2) return k == 1 ? topk_by_threshold<1, Arch>(s, n, k, ids) : topk_by_threshold<2, Arch>(s, n, k, ids);
  if (k <= 4) return topk_by_threshold<4, Arch>(s, n, k, ids);
  if (k <= 8) return topk_by_threshold<8, Arch>(s, n, k, ids);
  return topk_by_threshold<16, Arch>(s, n, k, ids);
}

template <class Arch, class T>
HEADGATE_NEVER_INLINE void topk_of_any(const T* s, index n, index k, index* ids) {
  if (k <= deepest_network && topk_by_threshold<Arch>(s, n, k, ids)) return;
  if (k <= longest_list)
    topk_by_list<Arch>(s, n, k, ids);
  else
    topk_by_heap<Arch>(s, n, k, ids);
}

}  // namespace detail

/// ids[0] ... ids[k-1]: the indices of the k largest of s_0 ... s_{n-1}, 0 <= k <= n, the largest first.
///
/// Equal elements (0 and -0 are equal) come in order of their indices, so the answer is unique and no instruction set
/// changes it. NaN ranks below -inf: ids are distinct and below n whatever the row holds. Does not allocate.
template <class Arch = xsimd::default_arch, class T>
HEADGATE_ALWAYS_INLINE void topk_row(const T* s, index n, index k, index* ids) {
  if (k == 0) return;
  if (n <= vector_width<T, Arch> && k <= detail::most_rounds && detail::topk_in_vector<Arch>(s, n, k, ids)) return;
  detail::topk_of_any<Arch>(s, n, k, ids);
}

/// topk_row for each row of s (rows x cols) into k consecutive ids: ids (rows x k).
template <class Arch = xsimd::default_arch, class T>
void topk_rows(view<T> s, index k, index* ids) {
  for (index r = 0; r < s.rows; ++r) topk_row<Arch>(s.row(r), s.cols, k, ids + r * k);
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
