// SPDX-License-Identifier: BSD-3-Clause
// Who went where in one pass, kept to be replayed: the experts of each token, with or without their weights.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/routing/routing.hpp>

#include <algorithm>
#include <span>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Whether a recorded pass keeps the combine weights beside the experts.
enum class record_weights { yes, no };

/// The experts of each token in the order in which they were selected: that order decides the bits of weights that are
/// computed again. Whatever it holds is in range and names no expert twice for a token.
template <class T>
class recorded_pass {
 public:
  recorded_pass() = default;
  /// No tokens yet, for `append`.
  explicit recorded_pass(index experts, record_weights weights = record_weights::yes)
      : experts_(experts), has_weights_(weights == record_weights::yes) {
    check_positive("recorded_pass", "experts", experts);
  }
  /// The assignments of a routing record, dropped ones included.
  explicit recorded_pass(const routing<T>& r, record_weights weights = record_weights::yes)
      : recorded_pass(r.experts, weights) {
    array<index> next(r.tokens + 1);  // where the next assignment of token t goes, at t + 1
    for (index a = 0; a < r.assignments.size(); ++a) {
      const assignment<T>& one = r.assignments[a];
      if (one.token < 0 || one.token >= r.tokens)
        refuse("recorded_pass: assignment ", a, " names token ", one.token, ", the batch has ", r.tokens);
      ++next[one.token + 1];
    }
    for (index t = 0; t < r.tokens; ++t) next[t + 1] += next[t];
    array<index> ids(r.assignments.size());
    array<T> of(r.assignments.size());
    array<index> place = next;
    for (const assignment<T>& one : r.assignments) {
      ids[place[one.token]] = one.expert;
      of[place[one.token]++] = one.weight;
    }
    for (index t = 0; t < r.tokens; ++t) {
      const index count = next[t + 1] - next[t];
      append(part(ids, next[t], count), has_weights_ ? part(of, next[t], count) : std::span<const T>{});
    }
  }

  /// No tokens yet, for `append`; keeps the memory.
  void reset(index experts, record_weights weights = record_weights::yes) {
    check_positive("recorded_pass", "experts", experts);
    experts_ = experts;
    has_weights_ = weights == record_weights::yes;
    first_.resize(1);
    ids_.clear();
    weights_.clear();
  }

  /// Adds the next token: its experts, and as many weights, or none if this pass keeps none.
  void append(std::span<const index> ids, std::span<const T> weights) {
    const index token = tokens();
    const index expected = has_weights_ ? static_cast<index>(ids.size()) : 0;
    if (static_cast<index>(weights.size()) != expected)
      refuse("recorded_pass: token ", token, " comes with ", weights.size(), " weights, expected ", expected);
    for (const index id : ids)
      if (id < 0 || id >= experts_)
        refuse("recorded_pass: token ", token, " names expert ", id, ", there are ", experts_);
    for (const T weight : weights)
      if (!kernels::is_finite(weight))
        refuse("recorded_pass: token ", token, " has the weight ", weight, ", weights must be finite");
    // Sorted, not marked in an array of all experts: a file may claim a million of them for each of many passes.
    sorted_.resize_for_overwrite(static_cast<index>(ids.size()));
    std::copy(ids.begin(), ids.end(), sorted_.begin());
    std::sort(sorted_.begin(), sorted_.end());
    if (const auto twice = std::adjacent_find(sorted_.begin(), sorted_.end()); twice != sorted_.end())
      refuse("recorded_pass: token ", token, " names expert ", *twice, " twice");
    for (const index id : ids) ids_.push_back(id);
    for (const T weight : weights) weights_.push_back(weight);
    first_.push_back(ids_.size());
  }

  [[nodiscard]] index tokens() const { return first_.size() - 1; }
  [[nodiscard]] index experts() const { return experts_; }
  [[nodiscard]] index assignments() const { return ids_.size(); }
  [[nodiscard]] bool has_weights() const { return has_weights_; }

  [[nodiscard]] std::span<const index> experts_of(index token) const {
    return part(ids_, first_[token], first_[token + 1] - first_[token]);
  }
  /// As many as experts; none if the pass keeps no weights.
  [[nodiscard]] std::span<const T> weights_of(index token) const {
    return has_weights_ ? part(weights_, first_[token], first_[token + 1] - first_[token]) : std::span<const T>{};
  }

 private:
  template <class Item>
  static std::span<const Item> part(const array<Item>& items, index first, index count) {
    return {items.data() + first, static_cast<std::size_t>(count)};
  }

  index experts_ = 0;
  bool has_weights_ = true;
  array<index> first_ = array<index>(1);  // (tokens + 1): assignments of token t are [first[t], first[t + 1])
  array<index> ids_;
  array<T> weights_;
  array<index> sorted_;  // the experts of the last token
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
