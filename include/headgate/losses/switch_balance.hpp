// SPDX-License-Identifier: BSD-3-Clause
// Load balance within one micro-batch (Fedus et al. 2021, arXiv:2101.03961, eq. 4-6; for several experts a token
// Qiu et al. 2025, arXiv:2501.11873, the micro-batch loss).
#pragma once

#include <headgate/config.hpp>
#include <headgate/losses/probabilities.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/routing/routing.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {

/// sum_t <g, p_t> over the counting tokens, its gradient added to d: what every balance loss of frequencies f comes
/// down to, with g = weight E f / tokens (experts). p (experts) is working memory.
template <class T>
T weighted_probabilities(const routing<T>& r, const token_mask& counts, const T* g, T* p, routing_gradient<T>& d) {
  double value = 0;  // in double, so that a float loss does not lose digits as the batch grows
  for (index t = 0; t < r.tokens; ++t) {
    if (!counts(t)) continue;
    probabilities(r, t, p);
    T share{0};
    for (index i = 0; i < r.experts; ++i) share += g[i] * p[i];
    value += static_cast<double>(share);
    pull_back_probabilities(r, t, p, g, d);
  }
  return static_cast<T>(value);
}

}  // namespace detail

/// A mean over the tokens that count (mask: true = counts, empty = all); the others neither choose nor have a
/// probability.
///
///   L = weight E sum_i f_i P_i      f_i = c_i / sum_j c_j,   P_i = mean_t p_ti
///
/// c_i is the number of tokens that chose expert i. f is normalised by the assignments there are, so L = weight for
/// uniform f or P with any number of experts a token, ragged or not (Fedus divides by tokens, which is the same for one
/// expert a token). L may be below weight. f carries no gradient; that of P goes to the scores or the logits. No
/// assignment: 0. The default weight gives the plain loss; Fedus trains with 1e-2, Qiu with 8e-3.
template <class T>
struct switch_balance {
  T weight = T{1};
  std::span<const bool> mask{};

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    const token_mask counts("switch_balance", mask, r.tokens);
    if (counts.counting() == 0) return T{0};
    check_probabilities("switch_balance", r, d);

    const view<T> rows = d.row.zero(2, r.experts);
    T* const g = rows.row(0);
    index assigned = 0;
    for (const auto& a : r.assignments) {
      if (!counts(a.token)) continue;
      g[a.expert] += T{1};
      ++assigned;
    }
    if (assigned == 0) return T{0};
    const T scale = weight * static_cast<T>(r.experts) / static_cast<T>(assigned) / static_cast<T>(counts.counting());
    for (index i = 0; i < r.experts; ++i) g[i] *= scale;
    return detail::weighted_probabilities(r, counts, g, rows.row(1), d);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
