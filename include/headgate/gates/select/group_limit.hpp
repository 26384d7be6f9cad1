// SPDX-License-Identifier: BSD-3-Clause
// Group-limited choice: a token may use the experts of its best groups only (DeepSeek-AI 2024, arXiv:2405.04434, section
// 2.1.3, and arXiv:2412.19437, section 2.1.2).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/kernels/reduce.hpp>
#include <headgate/kernels/topk.hpp>

#include <algorithm>
#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A group is as good as its best expert (DeepSeek-V2).
struct group_max {
  [[nodiscard]] index count() const { return 1; }
  template <class T>
  T operator()(const T* s, index n, index*) const {
    return kernels::max_row(s, n);
  }
};

/// A group is as good as the sum of its `experts` best, added from the best one down. Of a group with fewer experts that are
/// on (the others score -inf) it is the sum of those: such a group ranks before one that is all off.
template <index N = dynamic>
struct group_top_sum {
  HEADGATE_NO_UNIQUE_ADDRESS extent<N> experts{};

  [[nodiscard]] index count() const { return experts; }
  template <class T>
  T operator()(const T* s, index n, index* ids) const {
    kernels::topk_row(s, n, index{experts}, ids);
    T sum = s[ids[0]];
    for (index i = 1; i < experts && !kernels::is_minus_infinity(s[ids[i]]); ++i) sum += s[ids[i]];
    return sum;
  }
};
/// DeepSeek-V3's.
using top_two_sum = group_top_sum<2>;

/// What the experts of other groups get instead of their score. `minus_infinity` is the lowest finite number, so that an
/// expert that is switched off ranks below them. Zero is what DeepSeek-V2's code and earlier versions of DeepSeek-V3's in
/// transformers do: where the scores that choose are negative (by a selection bias), a masked expert ranks before one of
/// the best groups.
enum class group_mask { zero, minus_infinity };

/// Of `groups` contiguous groups of equal size the `keep` best stay, by `score`; ties go to the lower group. The experts
/// of the others get what `masked` says. An adjustment, for `adjusted`.
///
/// An expert that is switched off (-inf) stays so, whatever the mask. Where the best groups hold fewer than k experts
/// that are on, the rest of the k are those of lowest index among the experts of the other groups that are on.
template <class GroupScore>
struct group_limit {
  index groups = 1;
  index keep = 1;
  group_mask masked = group_mask::minus_infinity;
  HEADGATE_NO_UNIQUE_ADDRESS GroupScore score{};

  void check(gate_shape shape) const {
    check_positive("group_limit", "groups", groups);
    check_positive("group_limit", "keep", keep);
    if (shape.experts % groups != 0)
      refuse("group_limit: groups is ", groups, ", which does not divide the gate's ", shape.experts, " experts");
    if (keep > groups) refuse("group_limit: keep is ", keep, ", there are ", groups, " groups");
    check_positive("group_limit", "the number of experts that a group is judged by", score.count());
    if (score.count() > shape.experts / groups)
      refuse("group_limit: a group is judged by its best ", score.count(), " experts, it has ", shape.experts / groups);
  }

  /// Refuses a selection of more experts than the groups that stay have.
  void check_count(gate_shape shape, index count) const {
    if (const index most = keep * (shape.experts / groups); count > most)
      refuse("group_limit: the selection names ", count, " experts, the ", keep, " groups that are kept have ", most);
  }

  template <class T>
  void operator()(T* s, index experts, T* of_group, index* ids) const {
    const T mask = masked == group_mask::zero ? T{0} : std::numeric_limits<T>::lowest();
    const index size = experts / groups;
    for (index g = 0; g < groups; ++g) of_group[g] = score(static_cast<const T*>(s + g * size), size, ids);
    kernels::topk_row(static_cast<const T*>(of_group), groups, keep, ids);
    std::sort(ids, ids + keep);
    const index* kept = ids;
    for (index g = 0; g < groups; ++g) {
      if (kept < ids + keep && *kept == g) {
        ++kept;
        continue;
      }
      T* const other = s + g * size;
      for (index i = 0; i < size; ++i)
        if (!kernels::is_minus_infinity(other[i])) other[i] = mask;
    }
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
