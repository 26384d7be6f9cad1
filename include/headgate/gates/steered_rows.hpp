// SPDX-License-Identifier: BSD-3-Clause
// Selection and weights of a steered pass, token by token.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/routing/routing.hpp>
#include <headgate/routing/steering.hpp>

#include <algorithm>
#include <limits>
#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace detail {

/// What a gate's cache keeps of a steered pass.
template <class T>
struct steered_memory {
  scratch<T> row;                     // (1 x experts): scores as the selection sees them
  bool used = false;                  // the last pass was steered
  bool weights_are_recorded = false;  // and its weights are not those of its scores

  void start(const steering<T>* how) {
    used = how != nullptr;
    weights_are_recorded = used && how->forced != nullptr && how->weights == forced_weights::recorded;
  }
};

/// Fills the assignments of a record whose logits and scores are there.
///
///   choose(scores, ids) -> count               the selection of one token, the `skip` best first
///   weigh(ids, count, token, to)               writes count assignments
///
/// An expert that is off scores -infinity for the selection, so that no bias of the selection brings it back, and what
/// is named of them all the same goes without assignment.
template <class T>
class steered_rows {
 public:
  steered_rows(const steering<T>& how, routing<T>& r, array<index>& first, steered_memory<T>& memory)
      : how_(how), r_(r), first_(first), memory_(memory) {}

  template <class Choose, class Weigh>
  void run(index* ids, index* named_by, const Choose& choose, const Weigh& weigh) const {
    memory_.row.resize(1, r_.experts);
    for (index t = 0; t < r_.tokens; ++t) {
      const index count = how_.forced != nullptr ? forced_experts(t, ids) : chosen_experts(t, ids, named_by, choose);
      const index before = r_.assignments.size();
      r_.assignments.resize_for_overwrite(before + count);
      assignment<T>* const to = r_.assignments.data() + before;
      weigh(static_cast<const index*>(ids), count, t, to);
      if (memory_.weights_are_recorded) {
        const std::span<const T> recorded = how_.forced->weights_of(t);
        for (index i = 0; i < count; ++i) to[i].weight = recorded[static_cast<std::size_t>(i)];
      }
      first_[t + 1] = before + count;
    }
  }

 private:
  static constexpr T switched_off = -std::numeric_limits<T>::infinity();

  [[nodiscard]] bool is_on(index token, index expert) const { return r_.logits(token, expert) > switched_off; }

  [[nodiscard]] index forced_experts(index token, index* ids) const {
    if (!how_.counts(token)) return 0;  // padding, whatever was recorded
    const std::span<const index> recorded = how_.forced->experts_of(token);
    std::copy(recorded.begin(), recorded.end(), ids);
    for (const index e : recorded)
      if (!is_on(token, e)) refuse_token("steering: token ", token, " is forced to expert ", e, ", which is off");
    return static_cast<index>(recorded.size());
  }

  template <class Choose>
  [[nodiscard]] index chosen_experts(index token, index* ids, index* named_by, const Choose& choose) const {
    T* const s = memory_.row.data();
    index on = 0;
    for (index e = 0; e < r_.experts; ++e) {
      s[e] = is_on(token, e) ? r_.scores(token, e) : switched_off;
      on += is_on(token, e) ? 1 : 0;
    }
    if (on == 0) return 0;  // the gate's own logits say so, not the steering
    if (how_.skip >= on)
      refuse_token("steering: token ", token, " has ", on, " experts that are on, skip is ", how_.skip);
    const index count = choose(static_cast<const T*>(s), ids);
    if (count < how_.skip || count > r_.experts)
      refuse_token("gate::route: the selection names ", count, " experts for token ", token, ", the gate has ",
                   r_.experts);
    index kept = 0;
    for (index i = 0; i < count; ++i) {
      const index e = ids[i];
      if (e < 0 || e >= r_.experts)
        refuse_token("gate::route: the selection names expert ", e, " for token ", token, ", the gate has ",
                     r_.experts);
      if (named_by[e] == token) refuse_token("gate::route: the selection names expert ", e, " twice for token ", token);
      named_by[e] = token;
      if (i >= how_.skip && is_on(token, e)) ids[kept++] = e;
    }
    return kept;
  }

  /// Leaves the record without assignments.
  template <class... Parts>
  [[noreturn]] HEADGATE_NEVER_INLINE void refuse_token(const Parts&... parts) const {
    r_.assignments.clear();
    refuse(parts...);
  }

  const steering<T>& how_;
  routing<T>& r_;
  array<index>& first_;
  steered_memory<T>& memory_;
};

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
