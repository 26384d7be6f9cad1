// SPDX-License-Identifier: BSD-3-Clause
// The dispatch plan: assignments sorted into expert order, and the way back to each token.
#pragma once

#include <headgate/concepts/executor.hpp>
#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/parallel/sequential.hpp>
#include <headgate/routing/capacity.hpp>
#include <headgate/routing/drop_order.hpp>
#include <headgate/routing/groups.hpp>
#include <headgate/routing/routing.hpp>

#include <algorithm>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Every kept assignment has a slot; the slots of one expert lie together, in the order of the assignments.
///
/// Made by a stable counting sort over chunks of the assignments: each chunk counts its experts, prefix sums over the
/// chunks give each its first slot at each expert, and each fills its own slots. The plan does not depend on the chunks,
/// nor on who fills them. Keeps its memory from batch to batch. About 2.5 ns an assignment on one thread.
class dispatch_plan {
 public:
  /// Refuses a token or an expert that does not exist, a weight that is NaN or infinite, and to drop by choices that the
  /// record does not tell apart (`routing::best_first`).
  template <class T, executor Executor>
  void make(const routing<T>& r, const capacity& limit, const Executor& executor) {
    limit.check();
    detail::check_drop(limit, r);
    start(r);
    executor.run(chunks_.size(), [&](index c, index) { count(r, chunks_[c]); });
    const bool by_token = combine_counts(r);
    // Where the assignments come token by token and all have a slot, a chunk can also list its tokens' slots, while
    // they are in the cache.
    const bool in_one = by_token && limit.is_dropless();
    executor.run(chunks_.size(), [&](index c, index) { in_one ? sort_and_list(r, c) : sort(r, c); });
    if (in_one) return finish_offsets(r);
    if (!limit.is_dropless()) drop_excess(r, limit);
    list_slots(r);
  }
  template <class T>
  void make(const routing<T>& r, const capacity& limit) {
    make(r, limit, run_sequentially);
  }

  [[nodiscard]] row_groups groups() const { return {offsets_.size() - 1, offsets_.data(), slot_token_.data()}; }
  [[nodiscard]] index slots() const { return slot_assignment_.size(); }
  [[nodiscard]] index dropped() const { return assignment_slot_.size() - slots(); }

  /// Bytes of the plan of such a batch.
  [[nodiscard]] static constexpr index bytes(index tokens, index assignments, index experts) {
    const index chunks = (std::max)(assignments / chunk_size(experts), index{1});
    const index numbers = 4 * assignments + tokens + 1 + experts + 1 + 2 * chunks * experts;
    return numbers * static_cast<index>(sizeof(index)) + chunks * static_cast<index>(sizeof(chunk));
  }

  /// The assignment of a slot, and the slot of an assignment (-1 if dropped).
  [[nodiscard]] index assignment_of(index slot) const { return slot_assignment_[slot]; }
  [[nodiscard]] index slot_of(index assignment) const { return assignment_slot_[assignment]; }

  /// Slots of token t: token_slots()[token_offsets()[t] ...), ascending: by expert, then in the order of the assignments.
  ///
  /// The order in which a token's rows are combined. Whoever goes through the experts one after the other can therefore
  /// add each one's rows at once, and needs no memory for the rows of all slots.
  [[nodiscard]] const array<index>& token_offsets() const { return token_offsets_; }
  [[nodiscard]] const array<index>& token_slots() const { return token_slots_; }

 private:
  /// Assignments [first, last) and what the first pass found in them.
  struct chunk {
    index first, last;
    index* begin;    // (experts): how many, then the slot of the chunk's first one
    index* next;     // (experts): the slot of its next one
    index refused;   // the first one to be refused, -1 for none
    bool ascending;  // tokens do not decrease
  };

  /// Assignments of a chunk: few enough that what they fill lies in the second cache (48 bytes each), enough for the
  /// counters (one for each expert) to be worth setting up. A batch of one chunk wakes nobody.
  static constexpr index chunk_size(index experts) { return (std::max)(index{4096}, 16 * experts); }

  /// Divides the assignments into chunks; no token is cut in two if tokens come in order.
  template <class T>
  void start(const routing<T>& r) {
    const index count = r.assignments.size();
    const index chunks = (std::max)(count / chunk_size(r.experts), index{1});
    chunks_.resize(chunks);
    counters_.assign(2 * chunks * r.experts, 0);
    index first = 0;
    for (index c = 0; c < chunks; ++c) {
      index last = (std::max)(first, (c + 1) * count / chunks);
      while (last < count && last > 0 && r.assignments[last].token == r.assignments[last - 1].token) ++last;
      index* const counters = counters_.data() + 2 * c * r.experts;
      chunks_[c] = {first, last, counters, counters + r.experts, -1, true};
      first = last;
    }
    offsets_.resize(r.experts + 1);
    slot_assignment_.resize(count);
    slot_token_.resize(count);
    assignment_slot_.resize(count);
    token_slots_.resize(count);
    token_offsets_.resize(r.tokens + 1);
  }

  template <class T>
  static void count(const routing<T>& r, chunk& c) {
    const assignment<T>* const all = r.assignments.data();
    index* const counts = c.begin;
    index before = 0;
    bool ascending = true;
    for (index a = c.first; a < c.last; ++a) {
      const assignment<T>& one = all[a];
      if (one.token < 0 || one.token >= r.tokens || one.expert < 0 || one.expert >= r.experts ||
          !kernels::is_finite(one.weight)) {
        c.refused = a;
        return;
      }
      ascending &= one.token >= before;
      before = one.token;
      ++counts[one.expert];
    }
    c.ascending = ascending;
  }

  /// From counts to first slots. True if the assignments come token by token.
  template <class T>
  bool combine_counts(const routing<T>& r) {
    bool ascending = true;
    index before = 0;
    for (const chunk& c : chunks_) {
      if (c.refused >= 0) refuse_assignment(r, c.refused);
      if (c.first == c.last) continue;
      ascending = ascending && c.ascending && r.assignments[c.first].token >= before;
      before = r.assignments[c.last - 1].token;
    }
    index slot = 0;
    for (index e = 0; e < r.experts; ++e) {
      offsets_[e] = slot;
      for (const chunk& c : chunks_) {
        const index here = c.begin[e];
        c.begin[e] = c.next[e] = slot;
        slot += here;
      }
    }
    offsets_[r.experts] = slot;
    return ascending;
  }

  template <class T>
  [[noreturn]] static void refuse_assignment(const routing<T>& r, index a) {
    const assignment<T>& one = r.assignments[a];
    if (one.token < 0 || one.token >= r.tokens)
      refuse("dispatch_plan: assignment ", a, " names token ", one.token, ", the batch has ", r.tokens);
    if (one.expert < 0 || one.expert >= r.experts)
      refuse("dispatch_plan: assignment ", a, " names expert ", one.expert, ", the layer has ", r.experts);
    refuse("dispatch_plan: assignment ", a, " (token ", one.token, ", expert ", one.expert, ") has the weight ",
           one.weight, ", weights must be finite");
  }

  template <class T>
  void sort(const routing<T>& r, index c) {
    const chunk& mine = chunks_[c];
    for (index a = mine.first; a < mine.last; ++a) {
      const index slot = mine.next[r.assignments[a].expert]++;
      slot_assignment_[slot] = a;
      slot_token_[slot] = r.assignments[a].token;
      assignment_slot_[a] = slot;
    }
  }

  /// The same, and the lists of the chunk's tokens: each in the place of its assignments, filled in the order of slots.
  ///
  /// token_offsets_[t + 1] says where token t's next slot goes, and so at last where its list ends.
  template <class T>
  void sort_and_list(const routing<T>& r, index c) {
    const chunk mine = chunks_[c];
    const assignment<T>* const all = r.assignments.data();
    index* const of_slot = slot_assignment_.data();
    index* const token_of = slot_token_.data();
    index* const slot_of = assignment_slot_.data();
    index* const next_of = token_offsets_.data() + 1;
    index token = mine.first > 0 ? all[mine.first - 1].token : -1;
    for (index a = mine.first; a < mine.last; ++a) {
      const assignment<T>& one = all[a];
      const index slot = mine.next[one.expert]++;
      of_slot[slot] = a;
      token_of[slot] = one.token;
      slot_of[a] = slot;
      while (token < one.token) next_of[++token] = a;  // also of tokens that have none
    }
    index* const slots = token_slots_.data();
    for (index e = 0; e < r.experts; ++e)
      for (index s = mine.begin[e]; s < mine.next[e]; ++s) slots[next_of[token_of[s]]++] = s;
  }

  /// Of the tokens behind the last assignment, which no chunk has seen.
  template <class T>
  void finish_offsets(const routing<T>& r) {
    token_offsets_[0] = 0;
    const index count = r.assignments.size();
    const index seen = count > 0 ? r.assignments[count - 1].token + 1 : 0;
    std::fill(token_offsets_.begin() + seen + 1, token_offsets_.end(), count);
  }

  /// Takes what is above the capacity out of the slots. The two arrays lent to the order are not needed until the slots
  /// are listed.
  template <class T>
  void drop_excess(const routing<T>& r, const capacity& limit) {
    const index most = limit.limit_of(r.assignments.size(), r.counting(), r.experts);
    const detail::drop_order<T> order(r, limit.drop, assignment_slot_, token_offsets_);
    index kept = 0;
    for (index e = 0; e < r.experts; ++e) {
      index* const first = slot_assignment_.data() + offsets_[e];
      const index rows = offsets_[e + 1] - offsets_[e];
      const index count = (std::min)(most, rows);
      if (rows > most) order.keep_first(first, most, rows);
      std::copy_n(first, count, slot_assignment_.begin() + kept);
      offsets_[e] = kept;  // read above before it is overwritten; offsets_[e + 1] is still the old one
      kept += count;
    }
    offsets_[r.experts] = kept;
    slot_assignment_.resize(kept);
  }

  /// What each token's slots are, for assignments in any order of which some may be dropped: a counting sort by token.
  template <class T>
  void list_slots(const routing<T>& r) {
    std::fill(assignment_slot_.begin(), assignment_slot_.end(), index{-1});
    std::fill(token_offsets_.begin(), token_offsets_.end(), index{0});
    slot_token_.resize(slots());
    token_slots_.resize(slots());
    for (index s = 0; s < slots(); ++s) {
      const index a = slot_assignment_[s];
      assignment_slot_[a] = s;
      slot_token_[s] = r.assignments[a].token;
      ++token_offsets_[slot_token_[s] + 1];
    }
    index before = 0;
    for (index t = 0; t < r.tokens; ++t) {  // as above: where the next slot goes, one place later
      const index here = token_offsets_[t + 1];
      token_offsets_[t + 1] = before;
      before += here;
    }
    for (index s = 0; s < slots(); ++s) token_slots_[token_offsets_[slot_token_[s] + 1]++] = s;
  }

  array<chunk> chunks_;
  array<index> counters_;         // (chunks x 2 experts)
  array<index> offsets_;          // (experts + 1)
  array<index> slot_assignment_;  // (slots)
  array<index> slot_token_;       // (slots)
  array<index> assignment_slot_;  // (assignments)
  array<index> token_offsets_;    // (tokens + 1)
  array<index> token_slots_;      // (slots)
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
