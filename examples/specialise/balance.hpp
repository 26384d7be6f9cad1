// SPDX-License-Identifier: BSD-3-Clause
// The balance loss of several micro-batches that one forward computed together.
#pragma once

#include "settings.hpp"

#include <headgate/core/scratch.hpp>
#include <headgate/losses/expert_counts.hpp>
#include <headgate/losses/global_balance.hpp>

#include <algorithm>
#include <span>

namespace specialise {

/// Masks that pick one micro-batch out of a chunk of up to so many.
class micro_masks {
 public:
  micro_masks(index chunk, index tokens) : chunk_(chunk), tokens_(tokens) {
    window_.zero(1, (2 * chunk - 1) * tokens);
    std::fill_n(window_.data() + (chunk - 1) * tokens, tokens, true);
  }

  /// True for the tokens of micro-batch `which` of `count`.
  [[nodiscard]] std::span<const bool> operator()(index which, index count) const {
    return {window_.data() + (chunk_ - 1 - which) * tokens_, static_cast<std::size_t>(count * tokens_)};
  }

 private:
  index chunk_, tokens_;
  hg::scratch<bool> window_;  // false, then `tokens` of true, then false
};

/// sum_j global_balance of micro-batch j with the counts counts[j]; its gradient is multiplied by the weight.
template <class T>
struct pooled_balance {
  T weight;
  std::span<const hg::expert_counts* const> counts;  // of each micro-batch of the chunk
  const micro_masks* masks;

  T operator()(const hg::routing<T>& r, hg::routing_gradient<T>& d) const {
    T sum{0};
    const auto count = static_cast<index>(counts.size());
    for (index j = 0; j < count; ++j)
      sum += hg::global_balance<T>{
          .weight = weight, .counts = counts[static_cast<std::size_t>(j)], .mask = (*masks)(j, count)}(r, d);
    return sum;
  }
};

}  // namespace specialise
