// SPDX-License-Identifier: BSD-3-Clause
// Load balance within each sequence (DeepSeek-V2's release, `seq_aux`; DeepSeek-V3, arXiv:2412.19437, eq. 17-20).
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

/// Unlike V3's paper, f counts the choices that were made, with the selection bias if there is one, as DeepSeek's releases
/// do; the paper counts the k largest of the scores without the bias.
///
/// A mean over the sequences that have a token that counts (mask: true = counts, empty = all of the pass), each with
/// the same share whatever its length:
///
///   L = mean_s E sum_i f_i^s P_i^s      f_i^s = c_i^s / sum_j c_j^s,   P_i^s = mean_{t in s} p_ti
///
/// The sequences stand one after another in the batch: all of `length` tokens, or from offsets[s] to offsets[s + 1];
/// one of the two must be given. Where scores are positive (V3's sigmoid), p_ti is the score over the token's sum (V3's
/// s'). One sequence: `switch_balance`. f carries no gradient; that of P goes to the scores or the logits. A sequence
/// without an assignment: 0. V3 trains with the weight 1e-4. Groups of tokens as sequences and `choices` = first are
/// GShard's loss (`switch_balance`).
template <class T>
struct sequence_balance {
  static constexpr const char* name = "sequence_balance";
  T weight = T{1};
  index length = 0;
  std::span<const index> offsets{};
  std::span<const bool> mask{};
  counted_choices choices = counted_choices::all;

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    return detail::balance(name, weight, token_mask(name, mask, r), token_sequences(name, length, offsets, r.tokens),
                           {.choices = choices}, r, d);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
