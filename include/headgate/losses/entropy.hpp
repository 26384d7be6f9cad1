// SPDX-License-Identifier: BSD-3-Clause
// Entropy of the router's decision, to lower it (the dynamic loss of Huang et al. 2024, arXiv:2403.07652, number of the
// equation not checked) or to raise it.
#pragma once

#include <headgate/config.hpp>
#include <headgate/losses/batch_sums.hpp>
#include <headgate/losses/probabilities.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/routing/routing.hpp>

#include <algorithm>
#include <cmath>
#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {

/// conditional mean_t H(p_t) + marginal H(P), P = mean_t p_t, over the counting tokens; adds weight times its gradient to d.
///
///   dp_ti = -(conditional (log p_ti + 1) + marginal (log P_i + 1)) / tokens
///
/// All entropy losses are this with two of the factors -1, 0 and 1. With pooled sums, P is that of all tokens there, and
/// `tokens` is their mean number a micro-batch: the mean over micro-batches is the loss of all tokens, whatever their sizes.
template <class T>
T entropies(const char* owner, T weight, T conditional, T marginal, std::span<const bool> mask, const routing<T>& r,
            routing_gradient<T>& d, const batch_sums<T>* pooled = nullptr) {
  const token_mask counts(owner, mask, r);
  if (pooled) {
    pooled->check(owner, r);
    if (!pooled->has_probabilities()) refuse(owner, ": a record without probabilities is among the sums");
  }
  if ((pooled ? pooled->tokens() : counts.counting()) == 0) return T{0};
  if (counts.counting() > 0) check_probabilities(owner, r, d);

  const view<T> rows = d.row.resize(3, r.experts);
  T *const p = rows.row(0), *const dp = rows.row(1), *const of_marginal = rows.row(2);
  // p log p -> 0 as p -> 0. Its slope is infinite there, but a softmax multiplies it by p: 0 is that limit.
  const auto log_of = [](T probability) { return probability > T{0} ? std::log(probability) : T{-1}; };
  const auto tokens = pooled ? static_cast<double>(pooled->tokens()) / static_cast<double>(pooled->parts())
                             : static_cast<double>(counts.counting());
  const T scale = weight / static_cast<T>(tokens);
  double value = 0;
  std::fill_n(of_marginal, r.experts, T{0});
  if (marginal != T{0}) {
    double* const sum = d.sums.zero(1, r.experts).data;
    if (pooled) std::copy_n(pooled->probability().data(), r.experts, sum);
    for (index t = 0; !pooled && t < r.tokens; ++t) {
      if (!counts(t)) continue;
      probabilities(r, t, p);
      for (index i = 0; i < r.experts; ++i) sum[i] += static_cast<double>(p[i]);
    }
    const double summed = pooled ? static_cast<double>(pooled->tokens()) : tokens;
    for (index i = 0; i < r.experts; ++i) {
      const T mean = static_cast<T>(sum[i] / summed), log_mean = log_of(mean);
      value -= static_cast<double>(marginal * mean * log_mean);
      of_marginal[i] = marginal * (log_mean + T{1});
    }
  }
  double sum_of_entropies = 0;
  for (index t = 0; t < r.tokens; ++t) {
    if (!counts(t)) continue;
    probabilities(r, t, p);
    T entropy{0};
    for (index i = 0; i < r.experts; ++i) {
      const T log_p = log_of(p[i]);
      entropy -= p[i] * log_p;
      dp[i] = -scale * (conditional * (log_p + T{1}) + of_marginal[i]);
    }
    sum_of_entropies += static_cast<double>(entropy);
    pull_back_probabilities(r, t, p, dp, d);
  }
  return static_cast<T>(value + static_cast<double>(conditional) * sum_of_entropies / tokens);
}

}  // namespace detail

/// A mean over the tokens that count (mask: true = counts, empty = all of the pass).
///
///   L = mean_t H(p_t),   H(p) = -sum_i p_i log p_i
///
/// Minimising it makes each token's choice sharper: with top-p selection, fewer experts a token. The gradient goes to
/// the scores or the logits; an expert of probability 0 gets none. The weight reported of the paper is
/// 1e-4 (not checked).
template <class T>
struct entropy_penalty {
  static constexpr const char* name = "entropy_penalty";
  T weight = T{1};
  std::span<const bool> mask{};

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    return detail::entropies(name, weight, T{1}, T{0}, mask, r, d);
  }
};

/// A mean over the tokens that count (mask: true = counts, empty = all of the pass): `entropy_penalty` with the other sign.
///
///   L = -mean_t H(p_t)
///
/// Minimising it makes each token's choice broader, which keeps a young router exploring.
template <class T>
struct entropy_bonus {
  static constexpr const char* name = "entropy_bonus";
  T weight = T{1};
  std::span<const bool> mask{};

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    return detail::entropies(name, weight, T{-1}, T{0}, mask, r, d);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
