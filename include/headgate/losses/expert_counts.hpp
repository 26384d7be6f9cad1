// SPDX-License-Identifier: BSD-3-Clause
// How often each expert was chosen, over any number of micro-batches and ranks.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/routing/routing.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Adds up assignments per expert: `collect` after each forward pass, `merge` or an all-reduce of `counts()` over
/// ranks, `reset` after the optimizer's step. One object for each layer. Allocates in the first `collect` only.
class expert_counts {
 public:
  expert_counts() = default;
  /// Zero counts of so many experts, for a rank that may have nothing to collect before the all-reduce.
  explicit expert_counts(index experts) : counts_(experts) {}

  /// Adds the record's assignments, dropped ones included, of the tokens that count (true = counts, empty = all).
  template <class T>
  void collect(const routing<T>& r, std::span<const bool> mask = {}) {
    const token_mask counted("expert_counts::collect", mask, r.tokens);
    match("expert_counts::collect", r.experts);
    for (const auto& a : r.assignments)
      if (counted(a.token)) ++counts_[a.expert];
  }

  /// Adds another rank's or thread's counts.
  void merge(const expert_counts& other) {
    if (other.experts() == 0) return;
    match("expert_counts::merge", other.experts());
    for (index i = 0; i < experts(); ++i) counts_[i] += other.counts_[i];
  }

  /// Zero counts of the same experts.
  void reset() { counts_.assign(experts(), 0); }

  [[nodiscard]] index experts() const { return counts_.size(); }
  [[nodiscard]] index total() const {
    index sum = 0;
    for (const index count : counts_) sum += count;
    return sum;
  }
  [[nodiscard]] index operator[](index expert) const { return counts_[expert]; }
  /// (experts), to read or to all-reduce in place.
  [[nodiscard]] std::span<index> counts() { return {counts_.data(), static_cast<std::size_t>(experts())}; }
  [[nodiscard]] std::span<const index> counts() const { return counts_; }

 private:
  void match(const char* owner, index experts_given) {
    if (experts() == 0) counts_.assign(experts_given, 0);
    if (experts() != experts_given)
      refuse(owner, ": ", experts_given, " experts, the counts so far are of ", experts());
  }

  array<index> counts_;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
