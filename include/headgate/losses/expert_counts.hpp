// SPDX-License-Identifier: BSD-3-Clause
// How often each expert was chosen, over any number of micro-batches and ranks.
#pragma once

#include <headgate/concepts/communicator.hpp>
#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/routing/routing.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Adds up assignments per expert: `collect` after each forward pass, with the communicator where several ranks share the
/// batch, `reset` after the optimizer's step. One object for each layer. Allocates in the first `collect` only.
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

  /// The same over ranks, one micro-batch each: adds the sum of all ranks' assignments to the counts of each, the buffer of
  /// Qiu et al. 2025 (arXiv:2501.11873), Algorithm 1. Collective: every rank calls it once a micro-batch, a rank without
  /// tokens with its empty record. One all-reduce of experts + 1 integers; the last says how many ranks refuse. Then all do, each
  /// its own mistake or that of the others, nothing is collected anywhere, and the group goes on.
  template <communicator Communicator, class T>
  void collect(Communicator& ranks, const routing<T>& r, std::span<const bool> mask = {}) {
    const char* const owner = "expert_counts::collect";
    const bool fits =
        (mask.empty() || static_cast<index>(mask.size()) == r.tokens) && (experts() == 0 || experts() == r.experts);
    // A rank that refuses still takes part, or the others would wait for it.
    const index width = experts() == 0 ? r.experts : experts();
    reduced_.assign(width + 1, 0);
    if (fits) {
      const token_mask counted(owner, mask, r.tokens);
      for (const auto& a : r.assignments)
        if (counted(a.token)) ++reduced_[a.expert];
    } else {
      reduced_[width] = 1;
    }
    ranks.all_reduce(std::span<index>(reduced_.data(), static_cast<std::size_t>(width + 1)));
    if (!fits) {
      [[maybe_unused]] const token_mask refused(owner, mask, r.tokens);
      match(owner, r.experts);
    }
    if (reduced_[width] != 0)
      refuse(owner, ": ", reduced_[width], " of ", ranks.size(), " ranks refused, nothing was collected");
    match(owner, width);
    for (index i = 0; i < width; ++i) counts_[i] += reduced_[i];
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
  array<index> reduced_;  // of one micro-batch over all ranks, and how many ranks refuse
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
