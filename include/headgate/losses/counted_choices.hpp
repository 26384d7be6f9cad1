// SPDX-License-Identifier: BSD-3-Clause
// Which of a token's choices the frequencies of a balance loss count.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/routing/routing.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A token's choices are its assignments in the order of the record.
enum class counted_choices {
  all,
  /// Of each token, the rest is not counted (GShard: Lepikhin et al. 2020, arXiv:2006.16668, Algorithm 1). Only of gates
  /// whose record says `best_first`: those that list experts by index (`at_least`, `positive`, `all_experts`,
  /// `expert_choice`) are refused.
  first
};

namespace detail {

/// How many indices of zero `for_each_choice` needs.
inline index memory_for(counted_choices which, index tokens) { return which == counted_choices::first ? tokens : 0; }

/// Whether the record knows these choices.
template <class T>
[[nodiscard]] bool has_choices(counted_choices which, const routing<T>& r) {
  return which == counted_choices::all || r.best_first || r.assignments.empty();
}
template <class T>
void check_choices(const char* owner, counted_choices which, const routing<T>& r) {
  if (!has_choices(which, r))
    refuse(owner,
           ": first choices are to be counted, but the gate does not say that it lists a token's experts best "
           "first (routing::best_first, docs/writing-a-gate.md)");
}

/// visit(assignment), for each choice of the tokens that count. `seen` are `memory_for` zeros.
template <class T, class Visit>
void for_each_choice(const routing<T>& r, const token_mask& counted, counted_choices which, index* seen,
                     const Visit& visit) {
  for (const auto& a : r.assignments)
    if (counted(a.token) && (which == counted_choices::all || seen[a.token]++ == 0)) visit(a);
}

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
