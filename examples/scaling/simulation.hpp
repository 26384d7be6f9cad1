// SPDX-License-Identifier: BSD-3-Clause
// Routings drawn at random and chosen by the library's own stages, and what they send.
#pragma once

#include "setting.hpp"

#include <headgate/core/matrix.hpp>

#include <span>
#include <vector>

namespace scaling {

/// Logits of `draws` tokens (draws x experts).
[[nodiscard]] headgate::matrix<float> uniform_logits(const setting& s);
/// Normal logits of which those of one of `groups` groups share a part of their variance, `correlation`.
[[nodiscard]] headgate::matrix<float> correlated_logits(const setting& s);
/// The logarithm of the popularity and Gumbel noise: the k best are k draws without replacement by popularity.
[[nodiscard]] headgate::matrix<float> skewed_logits(const setting& s, std::span<const double> popularity);

/// The k experts of each token, best first (draws x k): top_k.
[[nodiscard]] std::vector<index> choose(const setting& s, const headgate::matrix<float>& logits);
/// The same from the best `keep` of `groups` groups only: adjusted<group_limit<top_two_sum>, top_k>.
[[nodiscard]] std::vector<index> choose_limited(const setting& s, const headgate::matrix<float>& logits, index groups,
                                                index keep);

/// Whether the limit leaves k experts to choose and groups that the two best of a group can judge.
[[nodiscard]] bool can_limit(const setting& s, index groups, index keep);

/// A mean over tokens and its standard error.
struct estimate {
  double mean = 0;
  double error = 0;
  double unseen =
      0;  ///< where all tokens are alike the error is 0, but what one of n does may be missed: 10/n, missed with e^-10
};

/// What the tokens of a routing send between ranks. Token t is at home on rank t mod ranks.
struct observed {
  estimate distinct;             ///< ranks of a token's experts
  estimate own;                  ///< its home among them
  estimate remote;               ///< ranks elsewhere: rows that go out
  estimate remote_returns;       ///< assignments elsewhere
  std::vector<double> received;  ///< rows that each rank gets for one token, its own included
};
[[nodiscard]] observed observe(const setting& s, std::span<const index> choice, index ranks);

/// The messages of one exchange in which each rank has `tokens` tokens.
struct observed_messages {
  double mean = 0;     ///< rows
  index smallest = 0;  ///< rows
  double empty = 0;    ///< share of all messages
  double busiest = 0;  ///< most rows that a rank receives from others over the mean
};
[[nodiscard]] observed_messages observe_messages(const setting& s, std::span<const index> choice, index ranks);

}  // namespace scaling
