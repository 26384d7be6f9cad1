// SPDX-License-Identifier: BSD-3-Clause
// Entropy of the router's decision, to lower it (the dynamic loss of Huang et al. 2024, arXiv:2403.07652) or to raise
// it.
#pragma once

#include <headgate/config.hpp>
#include <headgate/losses/probabilities.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/routing/routing.hpp>

#include <cmath>
#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {

/// weight mean_t H(p_t) over the counting tokens, its gradient added to d.
template <class T>
T mean_entropy(const char* owner, T weight, std::span<const bool> mask, const routing<T>& r, routing_gradient<T>& d) {
  const token_mask counts(owner, mask, r.tokens);
  if (counts.counting() == 0) return T{0};
  check_probabilities(owner, r, d);

  const view<T> rows = d.row.resize(2, r.experts);
  T *const p = rows.row(0), *const dp = rows.row(1);
  const T scale = weight / static_cast<T>(counts.counting());
  double value = 0;
  for (index t = 0; t < r.tokens; ++t) {
    if (!counts(t)) continue;
    probabilities(r, t, p);
    T entropy{0};
    for (index i = 0; i < r.experts; ++i) {
      // p log p -> 0 as p -> 0. Its slope is infinite there, but a softmax multiplies it by p: 0 is that limit.
      const T log_p = p[i] > T{0} ? std::log(p[i]) : T{-1};
      entropy -= p[i] * log_p;
      dp[i] = -scale * (log_p + T{1});
    }
    value += static_cast<double>(entropy);
    pull_back_probabilities(r, t, p, dp, d);
  }
  return scale * static_cast<T>(value);
}

}  // namespace detail

/// A mean over the tokens that count (mask: true = counts, empty = all).
///
///   L = weight mean_t H(p_t),   H(p) = -sum_i p_i log p_i
///
/// Minimising it makes each token's choice sharper: with top-p selection, fewer experts a token. The gradient goes to
/// the scores or the logits; an expert of probability 0 gets none. The default weight gives the plain loss; the paper's
/// is 1e-4.
template <class T>
struct entropy_penalty {
  T weight = T{1};
  std::span<const bool> mask{};

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    return detail::mean_entropy("entropy_penalty", weight, mask, r, d);
  }
};

/// A mean over the tokens that count (mask: true = counts, empty = all): `entropy_penalty` with the other sign.
///
///   L = -weight mean_t H(p_t)
///
/// Minimising it makes each token's choice broader, which keeps a young router exploring. The default weight gives the
/// plain loss.
template <class T>
struct entropy_bonus {
  T weight = T{1};
  std::span<const bool> mask{};

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    return detail::mean_entropy("entropy_bonus", -weight, mask, r, d);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
