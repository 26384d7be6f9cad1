// SPDX-License-Identifier: BSD-3-Clause
// The k largest elements of a row, ties to the lower index.
#pragma once

#include <headgate/config.hpp>
#include <headgate/kernels/lanes.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>

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

}  // namespace detail

/// ids[0] ... ids[k-1]: the indices of the k largest of s_0 ... s_{n-1}, 0 <= k <= n, the largest first.
///
/// Equal elements (0 and -0 are equal) come in order of their indices, so the answer is unique and no instruction set
/// changes it. NaN ranks below -inf: ids are distinct and below n whatever the row holds. Does not allocate.
template <class Arch = xsimd::default_arch, class T>
void topk_row(const T* s, index n, index k, index* ids) {
  if (k == 0) return;
  if (k <= detail::longest_list) {
    T best[detail::longest_list];  // sorted, best[i] = s[ids[i]]
    index count = 0;
    // Elements come in order of their index: a new one goes behind its equals.
    const auto insert = [&](index i) {
      index place = count < k ? count++ : k - 1;
      for (; place > 0 && detail::ranks_before(s[i], best[place - 1]); --place) {
        best[place] = best[place - 1];
        ids[place] = ids[place - 1];
      }
      best[place] = s[i];
      ids[place] = i;
    };
    for (index i = 0; i < k; ++i) insert(i);
    const auto worst = [&] { return best[k - 1]; };
    detail::for_each_candidate<Arch>(s, k, n, worst, [&](index i) {
      if (detail::ranks_before(s[i], best[k - 1])) insert(i);
    });
  } else {
    const auto before = [s](index a, index b) {
      return detail::ranks_before(s[a], s[b]) || (!detail::ranks_before(s[b], s[a]) && a < b);
    };
    for (index i = 0; i < k; ++i) ids[i] = i;
    std::make_heap(ids, ids + k, before);  // the worst of the k on top
    const auto worst = [&] { return s[ids[0]]; };
    detail::for_each_candidate<Arch>(s, k, n, worst, [&](index i) {
      if (!before(i, ids[0])) return;
      std::pop_heap(ids, ids + k, before);
      ids[k - 1] = i;
      std::push_heap(ids, ids + k, before);
    });
    std::sort_heap(ids, ids + k, before);
  }
}

/// topk_row for each row of s (rows x cols) into k consecutive ids: ids (rows x k).
template <class Arch = xsimd::default_arch, class T>
void topk_rows(view<T> s, index k, index* ids) {
  for (index r = 0; r < s.rows; ++r) topk_row<Arch>(s.row(r), s.cols, k, ids + r * k);
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
