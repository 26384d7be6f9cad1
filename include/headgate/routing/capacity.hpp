// SPDX-License-Identifier: BSD-3-Clause
// How many tokens an expert takes at most, and which ones it drops
// (Lepikhin et al. 2020, arXiv:2006.16668, section 2.2; Fedus et al. 2021, arXiv:2101.03961, eq. 3).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Which assignments an expert over its capacity drops. A token's choices are its assignments in the order of the record.
/// `by_choice` and `by_priority` ask for a gate whose record says `best_first`, as gates of `top_k`, `ranked` and `top_p` do;
/// those that list experts by index (`at_least`, `positive`, `all_experts`, `expert_choice`) are refused.
enum class drop {
  by_position,  ///< those that come last in the batch
  by_probability,  ///< those of least weight, among equal weights the last: each expert keeps its heaviest (Megatron-Core's
                   ///< drop policy "probs")
  by_choice,    ///< those that are their tokens' last choices, among equal choices the last in the batch: first choices
                ///< of all tokens are placed before any second one (GShard: Lepikhin et al. 2020, Algorithm 1)
  by_priority,  ///< the same, but among equal choices those of the tokens of least priority, and only then the last
                ///< token's: batch prioritised routing (V-MoE: Riquelme et al. 2021, arXiv:2106.05974, section 4.1).
                ///< A token's priority is the largest of its weights. The paper's other one, their sum, is 1 for all
                ///< after `renormalised`, and its last bit depends on the order of addition; the authors' code has the
                ///< largest too. Meant for weights that are probabilities as they are (`softmax_topk_gate`).
};

/// What becomes of a share that is no whole number of assignments.
enum class rounding { up, down };

/// Of what a capacity's factor is a share: of the assignments that the record holds, or of the tokens of the batch (which stay
/// the same where assignments are dropped at random, `random_second`). Tokens that the pass's mask leaves out (padding,
/// `steering::mask`) are not of the batch; others without an assignment are.
enum class share_of { assignments, tokens };

/// An expert takes at most max(minimum, factor * assignments / experts) assignments, rounded up or down, or `fixed` ones,
/// whatever the size of the batch (Switch's expert_capacity); the default takes all (dropless). A dropped assignment adds
/// nothing to its token and receives no gradient: a token all of whose assignments are dropped gets 0 from the experts.
///
/// A share that is a whole number for the factor as it is written stays that number: 1.1 * 100 / 10 is 11 rounded up, not
/// the 12 that the rounding of 1.1 and of the product make of it. (Megatron-Core takes the ceiling of (tokens / experts) *
/// factor in double, which may be one more.)
///
/// A capacity acts in evaluation too, as in models that were published so. Hunyuan's is {.factor = 1, .minimum = k,
/// .drop = drop::by_choice, .round = rounding::down}: max(k, k tokens / experts).
///
/// Dropping makes a token's output depend on its neighbours, as `expert_choice` does, and `sinkhorn` in training.
struct capacity {
  double factor = std::numeric_limits<double>::infinity();
  index minimum = 1;
  headgate::drop drop = headgate::drop::by_position;
  index fixed = 0;  ///< 0: by factor and minimum
  rounding round = rounding::up;
  share_of of = share_of::assignments;

  [[nodiscard]] bool is_dropless() const { return fixed == 0 && factor == std::numeric_limits<double>::infinity(); }

  /// Of a record of so many assignments of so many tokens.
  [[nodiscard]] index limit_of(index assignments, index tokens, index experts) const {
    return limit(of == share_of::tokens && !is_dropless() ? tokens : assignments, experts);
  }
  /// Of so many assignments, or tokens.
  [[nodiscard]] index limit(index assignments, index experts) const {
    if (fixed > 0) return fixed;
    if (is_dropless()) return assignments;
    const double whole = (std::min)(whole_share(assignments, experts), static_cast<double>(assignments));
    return (std::max)(minimum, static_cast<index>(whole));
  }

  void check() const {
    if (!(factor > 0)) refuse("capacity: factor is ", factor, ", it must be greater than 0");
    if (minimum < 1) refuse("capacity: minimum is ", minimum, ", it must be at least 1");
    if (fixed < 0) refuse("capacity: fixed is ", fixed, ", it must be at least 1, or 0 for none");
    if (fixed > 0 && factor != std::numeric_limits<double>::infinity())
      refuse("capacity: fixed is ", fixed, " and factor is ", factor, ", only one of them can set the capacity");
  }

 private:
  /// factor * assignments / experts, rounded up or down. The factor, the product and the quotient are each off by half a
  /// unit in the last place at most, together by less than four: what is so near a whole number is taken for it.
  [[nodiscard]] double whole_share(index assignments, index experts) const {
    const double share = factor * static_cast<double>(assignments) / static_cast<double>(experts);
    const double nearest = std::round(share);
    if (std::abs(share - nearest) <= 4 * std::numeric_limits<double>::epsilon() * nearest) return nearest;
    return round == rounding::up ? std::ceil(share) : std::floor(share);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
