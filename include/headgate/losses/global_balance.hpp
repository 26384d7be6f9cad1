// SPDX-License-Identifier: BSD-3-Clause
// Load balance over the global batch: many micro-batches, many ranks (Qiu et al. 2025, arXiv:2501.11873, the
// global-batch loss, number of its equation not checked, and Algorithm 1).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/losses/balance.hpp>
#include <headgate/losses/expert_counts.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/losses/token_sequences.hpp>
#include <headgate/routing/routing.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A mean over the tokens of this micro-batch that count (mask: true = counts, empty = all of the pass); give
/// `expert_counts::collect` the same mask, or both none: the pass's own (`steering::mask`) holds in both. Which choices
/// are counted, `counts` says.
///
///   L = E sum_i f_i P_i      f_i = c_i / sum_j c_j pooled,   P_i = mean_t p_ti of this micro-batch
///
/// Two steps: collect the counts (of this micro-batch too), then take the loss. Their mean over micro-batches of equal
/// size is the loss of the whole batch, which lets an expert specialise in one micro-batch as long as all are busy over
/// the batch. With the counts of the accumulation steps so far (and `reset` after the optimizer's step) it is the
/// paper's buffer. f carries no gradient; that of P goes to the scores or the logits. No count: 0. The paper trains with the
/// weight 8e-3.
template <class T>
struct global_balance {
  static constexpr const char* name = "global_balance";
  T weight = T{1};
  const expert_counts* counts = nullptr;
  std::span<const bool> mask{};

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    if (!counts) refuse("global_balance: counts is null, it must point to the expert_counts of the batch");
    return detail::balance(name, weight, token_mask(name, mask, r), token_sequences(r.tokens), {.pooled = counts}, r,
                           d);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
