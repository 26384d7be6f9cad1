// SPDX-License-Identifier: BSD-3-Clause
// Rows on their way to experts on other ranks, and back (the all-to-all of GShard, Lepikhin et al. 2020, arXiv:2006.16668).
#pragma once

#include <headgate/concepts/communicator.hpp>
#include <headgate/concepts/executor.hpp>
#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/core/view.hpp>
#include <headgate/routing/combine.hpp>
#include <headgate/routing/expert_placement.hpp>
#include <headgate/routing/groups.hpp>
#include <headgate/routing/plan.hpp>

#include <algorithm>
#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Who sends what to whom for one batch, made from each rank's own plan. Three orders of slots:
///
///   local     of this rank's plan: by expert, then in the order of its batch
///   travel    by the rank at the other end, then by expert, then in the order of the batch it is of
///   group     of the slots that came here: by expert, then by the rank they are of, then in the order of its batch. That is
///             the order of the batches one behind the other, so sums over slots have the bits that one rank would give them
///
/// A token goes once to each rank that has an expert of its, whatever their number: x, and dy. What experts compute comes back
/// once for each slot, although one sum for each (token, rank) would be less: the terms of a token's sum are added by
/// ascending expert, and ranks' partial sums would be another order, hence other bits.
///
/// Experts that the placement does not list, because they have no parameters, run on the rank of the token.
///
/// Keeps its memory from batch to batch. Every operation is collective.
template <class T>
class expert_exchange {
 public:
  /// Two messages: how much comes from where, and which rows the slots read.
  template <communicator Communicator>
  void plan(Communicator& ranks, const expert_placement& placement, const dispatch_plan& local) {
    self_ = ranks.rank();
    size_ = ranks.size();
    order_slots(placement, local.groups());
    list_rows(local);
    exchange_counts(ranks, placement, local.groups());
    order_groups();
    exchange_row_numbers(ranks);
  }

  /// The slots that came here: this rank's experts ascending, then those without parameters; rows of what `send_rows` returns.
  [[nodiscard]] row_groups groups() const { return {offsets_.size() - 1, offsets_.data(), group_row_.data()}; }

  /// The rows of x (tokens x cols) that this rank's experts need, from all ranks, in `received`.
  template <executor Executor, communicator Communicator>
  view<const T> send_rows(const Executor& executor, Communicator& ranks, view<const T> x, scratch<T>& received) {
    const view<T> out = outgoing_.resize(sent_token_.size(), x.cols);
    detail::for_each_row(executor, out.rows, [&](index i) { std::copy_n(x.row(sent_token_[i]), x.cols, out.row(i)); });
    const view<T> here = received.resize(sum(rows_from_), x.cols);
    all_to_all(ranks, out.data, rows_to_, here.data, rows_from_, x.cols);
    return here;
  }

  /// One value for each slot, from local order to the group order of where it goes.
  template <communicator Communicator>
  const T* send_slot_values(Communicator& ranks, const T* values, scratch<T>& received) {
    const view<T> out = outgoing_.resize(travel_slot_.size(), 1), came = incoming_.resize(group_travel_.size(), 1);
    for (index i = 0; i < out.rows; ++i) out(i, 0) = values[travel_slot_[i]];
    all_to_all(ranks, out.data, slots_to_, came.data, slots_from_, 1);
    const view<T> here = received.resize(came.rows, 1);
    for (index s = 0; s < here.rows; ++s) here(s, 0) = came(group_travel_[s], 0);
    return here.data;
  }

  /// The way back: one row for each slot, from group order to the local order of where it came from.
  template <executor Executor, communicator Communicator>
  void return_rows(const Executor& executor, Communicator& ranks, view<const T> here, view<T> back) {
    const view<T> out = outgoing_.resize(here.rows, back.cols), came = incoming_.resize(back.rows, back.cols);
    detail::for_each_row(executor, here.rows,
                         [&](index s) { std::copy_n(here.row(s), here.cols, out.row(group_travel_[s])); });
    all_to_all(ranks, out.data, slots_from_, came.data, slots_to_, back.cols);
    detail::for_each_row(executor, came.rows,
                         [&](index i) { std::copy_n(came.row(i), came.cols, back.row(travel_slot_[i])); });
  }

 private:
  /// f(expert) for the experts to which this rank's slots go at rank r.
  template <class F>
  void for_each_expert_at(index r, const expert_placement& placement, index experts, const F& f) const {
    for (const index e : placement.experts_of(r)) f(e);
    if (r == self_)
      for (index e = placement.experts(); e < experts; ++e) f(e);
  }

  void order_slots(const expert_placement& placement, const row_groups& local) {
    travel_slot_.resize(local.slots());
    slot_rank_.resize(local.slots());
    slots_to_.resize(size_);
    index next = 0;
    for (index r = 0; r < size_; ++r) {
      const index first = next;
      for_each_expert_at(r, placement, local.count, [&](index e) {
        for (index s = local.offsets[e]; s < local.offsets[e + 1]; ++s) {
          travel_slot_[next++] = s;
          slot_rank_[s] = r;
        }
      });
      slots_to_[r] = next - first;
    }
  }

  /// The tokens that go to each rank, ascending, and which of these rows each slot reads.
  void list_rows(const dispatch_plan& local) {
    const array<index>& slots = local.token_slots();
    const array<index>& offsets = local.token_offsets();
    const auto for_each_row = [&](const auto& f) {  // f(token, rank) for each row, numbering those of a rank from 0
      rows_to_.assign(size_, 0);
      last_token_.assign(size_, -1);
      for (index t = 0; t + 1 < offsets.size(); ++t)
        for (index i = offsets[t]; i < offsets[t + 1]; ++i) {
          const index rank = slot_rank_[slots[i]];
          if (last_token_[rank] != t) {
            last_token_[rank] = t;
            f(t, rank);
            ++rows_to_[rank];
          }
          slot_row_[slots[i]] = rows_to_[rank] - 1;
        }
    };
    slot_row_.resize(local.slots());
    for_each_row([](index, index) {});
    first_row_.resize(size_);
    index rows = 0;
    for (index rank = 0; rank < size_; ++rank) {
      first_row_[rank] = rows;
      rows += rows_to_[rank];
    }
    sent_token_.resize(rows);
    for_each_row([&](index t, index rank) { sent_token_[first_row_[rank] + rows_to_[rank]] = t; });
  }

  /// To each rank the number of rows and, for each of its experts, of slots.
  template <communicator Communicator>
  void exchange_counts(Communicator& ranks, const expert_placement& placement, const row_groups& local) {
    const auto mine = static_cast<index>(placement.experts_of(self_).size());
    const index groups = mine + local.count - placement.experts();
    counts_sent_.clear();
    to_.resize(size_);
    from_.resize(size_);
    for (index r = 0; r < size_; ++r) {
      const index before = counts_sent_.size();
      counts_sent_.push_back(rows_to_[r]);
      for_each_expert_at(r, placement, local.count, [&](index e) { counts_sent_.push_back(local.size(e)); });
      to_[r] = counts_sent_.size() - before;
      from_[r] = 1 + (r == self_ ? groups : mine);
    }
    counts_.resize(sum(from_));
    all_to_all(ranks, counts_sent_.data(), to_, counts_.data(), from_, 1);

    offsets_.assign(groups + 1, 0);
    slots_from_.assign(size_, 0);
    rows_from_.resize(size_);
    const index* next = counts_.data();
    for (index r = 0; r < size_; ++r) {
      rows_from_[r] = *next++;
      for (index g = 0; g + 1 < from_[r]; ++g, ++next) {
        offsets_[g + 1] += *next;
        slots_from_[r] += *next;
      }
    }
    for (index g = 0; g < groups; ++g) offsets_[g + 1] += offsets_[g];
  }

  /// From travel order to group order: the slots come by rank, and each rank's by expert.
  void order_groups() {
    next_.resize(offsets_.size() - 1);
    std::copy_n(offsets_.begin(), next_.size(), next_.begin());
    group_travel_.resize(offsets_.back());
    index travel = 0;
    const index* next = counts_.data();
    for (index r = 0; r < size_; ++r) {
      ++next;  // over the number of rows
      for (index g = 0; g + 1 < from_[r]; ++g, ++next)
        for (index i = 0; i < *next; ++i) group_travel_[next_[g]++] = travel++;
    }
  }

  template <communicator Communicator>
  void exchange_row_numbers(Communicator& ranks) {
    numbers_sent_.resize(travel_slot_.size());
    for (index i = 0; i < travel_slot_.size(); ++i) numbers_sent_[i] = slot_row_[travel_slot_[i]];
    numbers_.resize(group_travel_.size());
    all_to_all(ranks, numbers_sent_.data(), slots_to_, numbers_.data(), slots_from_, 1);
    index travel = 0, first = 0;
    for (index r = 0; r < size_; ++r) {
      for (index i = 0; i < slots_from_[r]; ++i) numbers_[travel++] += first;
      first += rows_from_[r];
    }
    group_row_.resize(numbers_.size());
    for (index s = 0; s < group_row_.size(); ++s) group_row_[s] = numbers_[group_travel_[s]];
  }

  /// `width` values for each of what the counts count.
  template <communicator Communicator, class S>
  void all_to_all(Communicator& ranks, const S* send, const array<index>& to, S* receive, const array<index>& from,
                  index width) {
    send_counts_.resize(size_);
    receive_counts_.resize(size_);
    for (index r = 0; r < size_; ++r) {
      send_counts_[r] = to[r] * width;
      receive_counts_[r] = from[r] * width;
    }
    const auto count = [](index n) { return static_cast<std::size_t>(n); };
    ranks.all_to_all(std::span<const S>(send, count(sum(send_counts_))),
                     std::span<const index>(send_counts_.data(), count(size_)),
                     std::span<S>(receive, count(sum(receive_counts_))),
                     std::span<const index>(receive_counts_.data(), count(size_)));
  }

  static index sum(const array<index>& counts) {
    index total = 0;
    for (const index count : counts) total += count;
    return total;
  }

  index self_ = 0, size_ = 0;
  // Of what goes from here.
  array<index> travel_slot_;  // (slots): the local slot of each in travel order
  array<index> slot_rank_;    // (slots), local order
  array<index> slot_row_;     // (slots), local order: which of the rows that go to its rank
  array<index> sent_token_;   // (rows), by rank
  array<index> slots_to_, rows_to_, first_row_, last_token_;  // (ranks)
  // Of what came here.
  array<index> offsets_;                 // (groups + 1)
  array<index> group_travel_;            // (slots here): the place in travel order of each in group order
  array<index> group_row_;               // (slots here), group order: which of the rows that came
  array<index> slots_from_, rows_from_;  // (ranks)
  // Working memory.
  array<index> counts_sent_, counts_, numbers_sent_, numbers_, next_, to_, from_, send_counts_, receive_counts_;
  scratch<T> outgoing_, incoming_;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
