// SPDX-License-Identifier: BSD-3-Clause
// The order in which an expert keeps its assignments, so that a capacity drops the last ones.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/routing/capacity.hpp>
#include <headgate/routing/routing.hpp>

#include <algorithm>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace detail {

/// Refuses to drop by choices where the gate does not say which of a token's assignments is the first.
template <class T>
void check_drop(const capacity& limit, const routing<T>& r) {
  const bool by_choices = limit.drop == drop::by_choice || limit.drop == drop::by_priority;
  if (by_choices && !limit.is_dropless() && !r.best_first && !r.assignments.empty())
    refuse("capacity: drop is ", limit.drop == drop::by_choice ? "by_choice" : "by_priority",
           ", but the gate does not say that it lists a token's experts best first (routing::best_first, "
           "docs/writing-a-gate.md)");
}

/// Each rule of `drop` is one order of all assignments of a batch, in which no two are equal. To give out places one
/// after the other in that order, as the papers do, keeps those of each expert that stand first in it.
template <class T>
class drop_order {
 public:
  /// `choice` (assignments) and `heaviest` (at least tokens) are memory for what the rule has to know. The record must
  /// name tokens that exist.
  drop_order(const routing<T>& r, drop rule, array<index>& choice, array<index>& heaviest)
      : all_(r.assignments.data()), rule_(rule), choice_(choice.data()), heaviest_(heaviest.data()) {
    if (rule == drop::by_choice || rule == drop::by_priority) rank_choices(r, choice, heaviest);
    if (rule == drop::by_priority) find_heaviest(r, heaviest);
  }

  /// Of one expert's assignments (`rows` of them, ascending): brings the `most` that are kept to the front, ascending.
  void keep_first(index* first, index most, index rows) const {
    switch (rule_) {
      case drop::by_position:
        return;  // so they stand
      case drop::by_probability:
        return keep(first, most, rows, [this](index a, index b) { return is_heavier(a, b, a, b); });
      case drop::by_choice:
        return keep(first, most, rows, [this](index a, index b) {
          return choice_[a] < choice_[b] || (choice_[a] == choice_[b] && a < b);
        });
      case drop::by_priority:
        return keep(first, most, rows, [this](index a, index b) {
          if (choice_[a] != choice_[b]) return choice_[a] < choice_[b];
          const index s = all_[a].token, t = all_[b].token;
          return is_heavier(heaviest_[s], heaviest_[t], s, t);
        });
    }
  }

 private:
  template <class Before>
  static void keep(index* first, index most, index rows, const Before& before) {
    std::nth_element(first, first + most, first + rows, before);
    std::sort(first, first + most);
  }

  /// By the weights of the assignments a and b; where they are equal, by the numbers i and j.
  [[nodiscard]] bool is_heavier(index a, index b, index i, index j) const {
    return all_[a].weight > all_[b].weight || (!(all_[a].weight < all_[b].weight) && i < j);
  }

  /// The place of each assignment among those of its token.
  static void rank_choices(const routing<T>& r, array<index>& choice, array<index>& next) {
    std::fill(next.begin(), next.end(), index{0});
    for (index a = 0; a < r.assignments.size(); ++a) choice[a] = next[r.assignments[a].token]++;
  }

  static void find_heaviest(const routing<T>& r, array<index>& heaviest) {
    std::fill(heaviest.begin(), heaviest.end(), index{-1});
    for (index a = 0; a < r.assignments.size(); ++a) {
      index& best = heaviest[r.assignments[a].token];
      if (best < 0 || r.assignments[a].weight > r.assignments[best].weight) best = a;
    }
  }

  const assignment<T>* all_;
  drop rule_;
  const index* choice_;
  const index* heaviest_;  // (tokens): the assignment of most weight of each token
};

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
