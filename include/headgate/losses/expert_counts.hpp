// SPDX-License-Identifier: BSD-3-Clause
// How often each expert was chosen, over any number of micro-batches and ranks.
#pragma once

#include <headgate/concepts/communicator.hpp>
#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/losses/counted_choices.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/routing/routing.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Adds up assignments per expert: `collect` after each forward pass, with the communicator where several ranks share the
/// batch, `reset` after the optimizer's step. One object for each layer. Allocates in the first `collect` only; where first
/// choices are counted, in the first of a larger batch too.
class expert_counts {
 public:
  expert_counts() = default;
  /// Zero counts of so many experts, for a rank that may have nothing to collect before the all-reduce.
  explicit expert_counts(index experts, counted_choices choices = counted_choices::all)
      : choices_(choices), counts_(experts) {}
  /// Counts these choices of each token; of the same on every rank.
  explicit expert_counts(counted_choices choices) : choices_(choices) {}

  /// Adds the record's assignments, or first choices, of the tokens that count (true = counts, empty = all of the
  /// pass). What a capacity drops is among them.
  template <class T>
  void collect(const routing<T>& r, std::span<const bool> mask = {}) {
    const token_mask counted("expert_counts::collect", mask, r);
    detail::check_choices("expert_counts::collect", choices_, r);
    match("expert_counts::collect", r.experts);
    add_to(counts_, r, counted);
  }

  /// The same over ranks, one micro-batch each: adds the sum of all ranks' assignments to the counts of each, the buffer of
  /// Qiu et al. 2025 (arXiv:2501.11873), Algorithm 1. Collective: every rank calls it once a micro-batch, a rank without
  /// tokens with its empty record. One all-reduce of experts + 2 integers; the last two say how many ranks refuse, and how many
  /// count first choices. If any refuses, or they count different choices, all refuse, each its own mistake or that of the
  /// others, nothing is collected anywhere, and the group goes on. Except for ranks whose counts are of different numbers
  /// of experts, or that have none yet and bring such records: their all-reduces differ in length, which is a
  /// `communicator_error` on all, and the group is over.
  template <communicator Communicator, class T>
  void collect(Communicator& ranks, const routing<T>& r, std::span<const bool> mask = {}) {
    const char* const owner = "expert_counts::collect";
    const bool fits =
        token_mask::fit(mask, r) && (experts() == 0 || experts() == r.experts) && detail::has_choices(choices_, r);
    // A rank that refuses still takes part, or the others would wait for it.
    const index width = experts() == 0 ? r.experts : experts();
    reduced_.assign(width + 2, 0);
    index &refusals = reduced_[width], &of_first = reduced_[width + 1];
    if (fits) {
      add_to(reduced_, r, token_mask(owner, mask, r));
    } else {
      refusals = 1;
    }
    of_first = choices_ == counted_choices::first ? 1 : 0;
    ranks.all_reduce(std::span<index>(reduced_.data(), static_cast<std::size_t>(width + 2)));
    if (!fits) {
      [[maybe_unused]] const token_mask refused(owner, mask, r);
      detail::check_choices(owner, choices_, r);
      match(owner, r.experts);
    }
    if (refusals != 0) refuse(owner, ": ", refusals, " of ", ranks.size(), " ranks refused, nothing was collected");
    if (of_first != 0 && of_first != ranks.size())
      refuse(owner, ": ", of_first, " of ", ranks.size(), " ranks count ", name_of(counted_choices::first),
             ", the others ", name_of(counted_choices::all), "; nothing was collected");
    match(owner, width);
    for (index i = 0; i < width; ++i) counts_[i] += reduced_[i];
  }

  /// Adds another rank's or thread's counts, of the same choices.
  void merge(const expert_counts& other) {
    if (other.experts() == 0) return;
    if (other.choices_ != choices_)
      refuse("expert_counts::merge: the counts are of ", name_of(other.choices_), ", these are of ", name_of(choices_));
    match("expert_counts::merge", other.experts());
    for (index i = 0; i < experts(); ++i) counts_[i] += other.counts_[i];
  }

  /// Zero counts of the same experts.
  void reset() { counts_.assign(experts(), 0); }

  [[nodiscard]] counted_choices choices() const { return choices_; }
  [[nodiscard]] index experts() const { return counts_.size(); }
  [[nodiscard]] index total() const {
    index sum = 0;
    for (const index count : counts_) sum += count;
    return sum;
  }
  [[nodiscard]] index operator[](index expert) const { return counts_[expert]; }
  /// (experts), to read, or to all-reduce in place: once between two calls of `reset`, after all micro-batches. Reduced again,
  /// what is already a sum over ranks would be multiplied by their number; `collect(ranks, ...)` has no such limit.
  [[nodiscard]] std::span<index> counts() { return {counts_.data(), static_cast<std::size_t>(experts())}; }
  [[nodiscard]] std::span<const index> counts() const { return counts_; }

 private:
  void match(const char* owner, index experts_given) {
    if (experts() == 0) counts_.assign(experts_given, 0);
    if (experts() != experts_given)
      refuse(owner, ": ", experts_given, " experts, the counts so far are of ", experts());
  }

  template <class T>
  void add_to(array<index>& counts, const routing<T>& r, const token_mask& counted) {
    seen_.assign(detail::memory_for(choices_, r.tokens), 0);
    detail::for_each_choice(r, counted, choices_, seen_.data(), [&](const assignment<T>& a) { ++counts[a.expert]; });
  }

  [[nodiscard]] static const char* name_of(counted_choices choices) {
    return choices == counted_choices::first ? "first choices" : "all choices";
  }

  counted_choices choices_ = counted_choices::all;
  array<index> counts_;
  array<index> reduced_;  // of one micro-batch over all ranks, and how many ranks refuse or count first choices
  array<index> seen_;     // (tokens), of the last record: how many of its choices have passed
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
