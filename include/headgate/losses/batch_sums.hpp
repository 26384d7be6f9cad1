// SPDX-License-Identifier: BSD-3-Clause
// Sums over the tokens of many micro-batches and ranks, for losses that are no means over tokens.
#pragma once

#include <headgate/concepts/communicator.hpp>
#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/losses/probabilities.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/routing/routing.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// What `importance_balance`, `mutual_information_balance` and `load_concentration` need to be those of the whole batch:
///
///   importance_i = sum_t G_ti,   probability_i = sum_t p_ti      (experts), over the tokens that count
///
/// `collect` after each forward, over ranks with the communicator; when all micro-batches of the step are collected,
/// each takes the loss with `.sums` and the same mask; `reset` after the optimizer's step. One object for each layer.
/// The mean of such losses over the micro-batches (and ranks), and of their gradients, is that of the batch of all
/// tokens, whatever their sizes: up to rounding, since it sums in another order. Ranks equal accumulation steps to the
/// last bit where each has one micro-batch a step, else up to rounding. In double.
template <class T>
class batch_sums {
 public:
  /// Adds the record's tokens that count (true = counts, empty = all of the pass).
  void collect(const routing<T>& r, std::span<const bool> mask = {}) {
    const char* const owner = "batch_sums::collect";
    const token_mask counted(owner, mask, r);
    match(owner, r.experts);
    sum_part(r, counted);
    add_part();
  }

  /// The same over ranks, one micro-batch each. Collective: every rank calls it once a micro-batch, one without tokens with its
  /// empty record. One all-reduce of 2 experts + 4 doubles; the last says how many ranks refuse. If any refuses, all do, and
  /// nothing is collected. Ranks of different numbers of experts: a `communicator_error` on all.
  template <communicator Communicator>
  void collect(Communicator& ranks, const routing<T>& r, std::span<const bool> mask = {}) {
    const char* const owner = "batch_sums::collect";
    const bool fits = token_mask::fit(mask, r) && (experts_ == 0 || experts_ == r.experts);
    // A rank that refuses still takes part, or the others would wait for it.
    if (fits) {
      sum_part(r, token_mask(owner, mask, r));
    } else {
      const index width = experts_ == 0 ? r.experts : experts_;
      part_.assign(size_of(width), 0);
      part_[part_.size() - 1] = 1;
    }
    ranks.all_reduce(std::span<double>(part_.data(), static_cast<std::size_t>(part_.size())));
    if (!fits) {
      [[maybe_unused]] const token_mask refused(owner, mask, r);
      match(owner, r.experts);
    }
    if (const auto refusals = static_cast<index>(part_[part_.size() - 1]); refusals != 0)
      refuse(owner, ": ", refusals, " of ", ranks.size(), " ranks refused, nothing was collected");
    match(owner, r.experts);
    add_part();
  }

  /// Nothing, of the same experts.
  void reset() { sums_.assign(sums_.size(), 0); }

  [[nodiscard]] index experts() const { return experts_; }
  /// That count.
  [[nodiscard]] index tokens() const { return number(0); }
  /// How many micro-batches were collected, those of all ranks.
  [[nodiscard]] index parts() const { return number(1); }
  /// Whether every record with tokens had probabilities.
  [[nodiscard]] bool has_probabilities() const { return number(2) == 0; }
  [[nodiscard]] std::span<const double> importance() const { return {sums_.data(), width()}; }
  [[nodiscard]] std::span<const double> probability() const { return {sums_.data() + experts_, width()}; }

  /// For losses: refuses a record of other experts.
  void check(const char* owner, const routing<T>& r) const {
    if (experts_ != 0 && experts_ != r.experts)
      refuse(owner, ": the sums are of ", experts_, " experts, the record has ", r.experts);
  }

 private:
  static index size_of(index experts) { return 2 * experts + 4; }
  [[nodiscard]] std::size_t width() const { return static_cast<std::size_t>(experts_); }
  [[nodiscard]] index number(index which) const {
    return sums_.empty() ? 0 : static_cast<index>(sums_[2 * experts_ + which]);
  }

  void match(const char* owner, index experts) {
    if (experts_ != 0 && experts_ != experts)
      refuse(owner, ": ", experts, " experts, the sums so far are of ", experts_);
    if (experts_ != 0) return;
    experts_ = experts;
    sums_.assign(size_of(experts), 0);
  }

  static bool tells_probabilities(const routing<T>& r) {
    const scratch<T>& rows = r.scores_are == score_kind::logits ? r.logits : r.scores;
    return r.scores_are != score_kind::none && rows.rows() == r.tokens;
  }

  void sum_part(const routing<T>& r, const token_mask& counted) {
    part_.assign(size_of(r.experts), 0);
    double *const importance = part_.data(), *const probability = importance + r.experts,
                  *const numbers = probability + r.experts;  // tokens, parts, parts without probabilities, refusals
    for (const auto& a : r.assignments)
      if (counted(a.token)) importance[a.expert] += static_cast<double>(a.weight);
    numbers[0] = static_cast<double>(counted.counting());
    numbers[1] = 1;
    if (counted.counting() == 0) return;
    if (!tells_probabilities(r)) {
      numbers[2] = 1;
      return;
    }
    T* const p = row_.resize(1, r.experts).data;
    for (index t = 0; t < r.tokens; ++t) {
      if (!counted(t)) continue;
      probabilities(r, t, p);
      for (index i = 0; i < r.experts; ++i) probability[i] += static_cast<double>(p[i]);
    }
  }
  void add_part() {
    for (index i = 0; i < sums_.size(); ++i) sums_[i] += part_[i];
  }

  index experts_ = 0;
  array<double> sums_;  // importance (experts), probability (experts), and the four numbers
  array<double> part_;  // the same of one micro-batch, over all ranks
  scratch<T> row_;      // (1 x experts)
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
