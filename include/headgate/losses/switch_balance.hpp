// SPDX-License-Identifier: BSD-3-Clause
// Load balance within one micro-batch (Fedus et al. 2021, arXiv:2101.03961, eq. 4-6; for several experts a token
// Qiu et al. 2025, arXiv:2501.11873, the micro-batch loss, number of its equation not checked, and Dai et al. 2024,
// arXiv:2401.06066, eq. 12-14).
#pragma once

#include <headgate/config.hpp>
#include <headgate/losses/balance.hpp>
#include <headgate/losses/counted_choices.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/losses/token_sequences.hpp>
#include <headgate/routing/routing.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A mean over the tokens that count (mask: true = counts, empty = all of the pass); the others neither choose nor have a
/// probability.
///
///   L = E sum_i f_i P_i      f_i = c_i / sum_j c_j,   P_i = mean_t p_ti
///
/// c_i is the number of tokens that chose expert i; with `choices` = first, of those whose first choice it is, as in GShard
/// (Lepikhin et al. 2020, arXiv:2006.16668, Algorithm 1; its l_aux is L / E^2, the authors' code has L). f is normalised by
/// the choices there are, so L = 1 for uniform f or P with any number of experts a token, ragged or not (Fedus divides by
/// tokens, which is the same for one expert a token). L may be below 1. f carries no gradient; that of P goes to the scores
/// or the logits. No assignment: 0. Fedus trains with the weight 1e-2, Qiu with 8e-3. It is DeepSeekMoE's expert-level loss
/// too (1e-2 and 1e-3).
template <class T>
struct switch_balance {
  static constexpr const char* name = "switch_balance";
  T weight = T{1};
  std::span<const bool> mask{};
  counted_choices choices = counted_choices::all;

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    return detail::balance(name, weight, token_mask(name, mask, r), token_sequences(r.tokens), {.choices = choices}, r,
                           d);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
