// SPDX-License-Identifier: BSD-3-Clause
// Which of a token's choices the frequencies of a balance loss count.
#pragma once

#include <headgate/config.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/routing/routing.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A token's choices are its assignments in the order of the record, best first for the library's gates. (Not for
/// `expert_choice`, which lists them by ascending expert, and whose experts have equal loads anyway.)
enum class counted_choices {
  all,
  first  ///< of each token, the rest is not counted (GShard: Lepikhin et al. 2020, arXiv:2006.16668, Algorithm 1)
};

namespace detail {

/// How many indices of zero `for_each_choice` needs.
inline index memory_for(counted_choices which, index tokens) { return which == counted_choices::first ? tokens : 0; }

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
