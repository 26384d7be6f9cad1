// SPDX-License-Identifier: BSD-3-Clause
// The dispatch plan: assignments sorted into expert order, and the way back to each token.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/routing/capacity.hpp>
#include <headgate/routing/groups.hpp>
#include <headgate/routing/routing.hpp>

#include <algorithm>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Every kept assignment has a slot; the slots of one expert lie together, in the order of the assignments.
/// Made by a stable counting sort; keeps its memory from batch to batch.
class dispatch_plan {
 public:
  /// Refuses a token or an expert that does not exist, and a weight that is NaN or infinite.
  template <class T>
  void make(const routing<T>& r, const capacity& limit) {
    limit.check();
    const index count = r.assignments.size();
    offsets_.assign(r.experts + 1, 0);
    for (index a = 0; a < count; ++a) {
      const auto& one = r.assignments[a];
      if (one.token < 0 || one.token >= r.tokens)
        refuse("dispatch_plan: assignment ", a, " names token ", one.token, ", the batch has ", r.tokens);
      if (one.expert < 0 || one.expert >= r.experts)
        refuse("dispatch_plan: assignment ", a, " names expert ", one.expert, ", the layer has ", r.experts);
      if (!kernels::is_finite(one.weight))
        refuse("dispatch_plan: assignment ", a, " (token ", one.token, ", expert ", one.expert, ") has the weight ",
               one.weight, ", weights must be finite");
      ++offsets_[one.expert + 1];
    }
    for (index e = 0; e < r.experts; ++e) offsets_[e + 1] += offsets_[e];
    slot_assignment_.resize(count);
    next_.resize(r.experts);
    for (index e = 0; e < r.experts; ++e) next_[e] = offsets_[e];
    for (index a = 0; a < count; ++a) slot_assignment_[next_[r.assignments[a].expert]++] = a;
    if (!limit.is_dropless()) drop_excess(r, limit);
    link_tokens(r);
  }

  [[nodiscard]] row_groups groups() const { return {offsets_.size() - 1, offsets_.data(), slot_token_.data()}; }
  [[nodiscard]] index slots() const { return slot_assignment_.size(); }
  [[nodiscard]] index dropped() const { return assignment_slot_.size() - slots(); }

  /// The assignment of a slot, and the slot of an assignment (-1 if dropped).
  [[nodiscard]] index assignment_of(index slot) const { return slot_assignment_[slot]; }
  [[nodiscard]] index slot_of(index assignment) const { return assignment_slot_[assignment]; }

  /// Slots of token t: token_slots()[token_offsets()[t] ...), ascending: expert by expert.
  [[nodiscard]] const array<index>& token_offsets() const { return token_offsets_; }
  [[nodiscard]] const array<index>& token_slots() const { return token_slots_; }

 private:
  template <class T>
  void drop_excess(const routing<T>& r, const capacity& limit) {
    const index most = limit.limit(r.assignments.size(), r.experts);
    index kept = 0;
    for (index e = 0; e < r.experts; ++e) {
      const auto first = slot_assignment_.begin() + offsets_[e];
      const index count = (std::min)(most, offsets_[e + 1] - offsets_[e]);
      if (limit.drop == drop::by_probability && offsets_[e + 1] - offsets_[e] > most) {
        const auto heavier = [&](index a, index b) {
          const T wa = r.assignments[a].weight;
          const T wb = r.assignments[b].weight;
          return wa > wb || (!(wa < wb) && a < b);
        };
        std::nth_element(first, first + most, slot_assignment_.begin() + offsets_[e + 1], heavier);
        std::sort(first, first + most);  // back into the order of the batch
      }
      std::copy_n(first, count, slot_assignment_.begin() + kept);
      offsets_[e] = kept;  // read above before it is overwritten; offsets_[e + 1] is still the old one
      kept += count;
    }
    offsets_[r.experts] = kept;
    slot_assignment_.resize(kept);
  }

  template <class T>
  void link_tokens(const routing<T>& r) {
    assignment_slot_.assign(r.assignments.size(), -1);
    slot_token_.resize(slots());
    token_offsets_.assign(r.tokens + 1, 0);
    for (index s = 0; s < slots(); ++s) {
      const index a = slot_assignment_[s];
      assignment_slot_[a] = s;
      slot_token_[s] = r.assignments[a].token;
      ++token_offsets_[slot_token_[s] + 1];
    }
    for (index t = 0; t < r.tokens; ++t) token_offsets_[t + 1] += token_offsets_[t];
    next_.resize((std::max)(r.tokens, r.experts));
    for (index t = 0; t < r.tokens; ++t) next_[t] = token_offsets_[t];
    token_slots_.resize(slots());
    for (index s = 0; s < slots(); ++s) token_slots_[next_[slot_token_[s]]++] = s;
  }

  array<index> offsets_;          // (experts + 1)
  array<index> slot_assignment_;  // (slots)
  array<index> slot_token_;       // (slots)
  array<index> assignment_slot_;  // (assignments)
  array<index> token_offsets_;    // (tokens + 1)
  array<index> token_slots_;      // (slots)
  array<index> next_;             // working memory of the counting sorts
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
