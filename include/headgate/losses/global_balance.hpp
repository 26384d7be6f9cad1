// SPDX-License-Identifier: BSD-3-Clause
// Load balance over the global batch: many micro-batches, many ranks (Qiu et al. 2025, arXiv:2501.11873, the
// global-batch loss and Algorithm 1).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/losses/expert_counts.hpp>
#include <headgate/losses/switch_balance.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A mean over the tokens of this micro-batch that count (mask: true = counts, empty = all); give
/// `expert_counts::collect` the same mask.
///
///   L = weight E sum_i f_i P_i      f_i = c_i / sum_j c_j pooled,   P_i = mean_t p_ti of this micro-batch
///
/// Two steps: collect the counts (of this micro-batch too), then take the loss. Their mean over micro-batches of equal
/// size is the loss of the whole batch, which lets an expert specialise in one micro-batch as long as all are busy over
/// the batch. With the counts of the accumulation steps so far (and `reset` after the optimizer's step) it is the
/// paper's buffer. f carries no gradient; that of P goes to the scores or the logits. No count: 0. The default weight
/// gives the plain loss; the paper trains with 8e-3.
template <class T>
struct global_balance {
  T weight = T{1};
  const expert_counts* counts = nullptr;
  std::span<const bool> mask{};

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    if (!counts) refuse("global_balance: counts is null, it must point to the expert_counts of the batch");
    const token_mask counted("global_balance", mask, r.tokens);
    const index total = counts->total();
    if (counted.counting() == 0 || total == 0) return T{0};
    if (counts->experts() != r.experts)
      refuse("global_balance: the counts are of ", counts->experts(), " experts, the record has ", r.experts);
    check_probabilities("global_balance", r, d);

    const view<T> rows = d.row.resize(2, r.experts);
    T* const g = rows.row(0);
    const T scale = weight * static_cast<T>(r.experts) / static_cast<T>(counted.counting());
    for (index i = 0; i < r.experts; ++i) g[i] = scale * (static_cast<T>((*counts)[i]) / static_cast<T>(total));
    return detail::weighted_probabilities(r, counted, g, rows.row(1), d);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
