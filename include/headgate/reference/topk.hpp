// SPDX-License-Identifier: BSD-3-Clause
// The k largest elements of a row by search: what kernels/topk.hpp must find.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

#include <algorithm>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace reference {

/// k times: the largest element that is not taken yet. Going through the row from left to right and replacing the best
/// only by a strictly larger one gives ties to the lower index. A NaN is taken when nothing else is left.
template <class T>
void topk_row(const T* s, index n, index k, index* ids) {
  for (index taken = 0; taken < k; ++taken) {
    index best = -1;
    for (index i = 0; i < n; ++i) {
      if (std::find(ids, ids + taken, i) != ids + taken) continue;
      const bool best_is_nan = best >= 0 && s[best] != s[best];
      const bool i_is_nan = s[i] != s[i];
      if (best < 0 || s[i] > s[best] || (best_is_nan && !i_is_nan)) best = i;
    }
    ids[taken] = best;
  }
}

/// ids (rows x k).
template <class T>
void topk_rows(view<T> s, index k, index* ids) {
  for (index r = 0; r < s.rows; ++r) topk_row(s.row(r), s.cols, k, ids + r * k);
}

}  // namespace reference
}  // namespace HEADGATE_ABI
}  // namespace headgate
