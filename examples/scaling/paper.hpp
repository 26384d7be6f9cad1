// SPDX-License-Identifier: BSD-3-Clause
// Traffic and time of expert parallelism in closed form (docs/scaling.md derives the formulas).
#pragma once

#include "setting.hpp"

#include <span>
#include <string>
#include <vector>

namespace scaling {

/// Experts are laid out in order, as evenly as they go: the rank of expert e of `experts` on `ranks`.
[[nodiscard]] inline index rank_of(index expert, index experts, index ranks) { return expert * ranks / experts; }

/// The number of experts on each rank.
[[nodiscard]] std::vector<index> experts_of_ranks(index experts, index ranks);

/// C(experts - held, k) / C(experts, k): the chance that none of a token's k distinct experts, drawn uniformly, is one of
/// `held` given ones.
[[nodiscard]] double miss(index experts, index held, index k);

/// Expected number of distinct parts that k distinct experts lie in, drawn uniformly from parts of these sizes:
/// sum over parts of 1 - miss.
[[nodiscard]] double distinct_parts(std::span<const index> sizes, index k);

/// What more nodes than experts do.
enum class beyond {
  replicas,  ///< nodes / experts groups, each with all experts; a token stays in its group
  shards     ///< each expert's hidden width is cut over nodes / experts nodes
};

/// Expected rows of one token.
struct traffic {
  index peers = 0;              ///< other ranks that a rank exchanges with
  double distinct = 0;          ///< ranks that the token's experts lie on
  double own = 0;               ///< the token's own rank among them
  double remote = 0;            ///< rows sent away: distinct - own
  double remote_returns = 0;    ///< rows that come back from elsewhere, one for each assignment
  double hit = 0;               ///< the chance that a token sends to a given other rank
  double weights_per_rank = 0;  ///< parameters of the experts that a rank holds
};
[[nodiscard]] traffic paper_traffic(const setting& s, index nodes, beyond rule = beyond::replicas);

/// Bytes of one value on its way to the experts and back.
struct row_format {
  const char* name;
  double out, back;
};
/// fp8 rows carry a float scale for each 128 values and come back in bf16 (arXiv:2412.19437, sections 3.2 and 3.3).
[[nodiscard]] std::span<const row_format> row_formats();

/// Bytes that a token sends over the network in a forward pass. A backward pass sends as many: dy out, dx back.
[[nodiscard]] double forward_bytes(const setting& s, const traffic& t, double out, double back,
                                   bool one_return_per_rank);

/// A kind of node: the speeds that all devices of a node share.
struct machine {
  const char* name;
  double flops;    ///< multiplications and additions a second
  double memory;   ///< bytes a second that weights are read with
  double network;  ///< bytes a second, each way
  double message;  ///< seconds that a message costs beside its bytes
  const char* brief;
};
[[nodiscard]] std::span<const machine> machines();

/// Seconds of one rank as functions of its tokens: exchange = fixed + per_token * tokens, compute = the larger of
/// reading and per_token * tokens.
struct pass_time {
  double exchange_fixed = 0, exchange_per_token = 0;
  double reading = 0, compute_per_token = 0;

  [[nodiscard]] double exchange(double tokens) const { return exchange_fixed + exchange_per_token * tokens; }
  [[nodiscard]] double compute(double tokens) const;
  /// The tokens per rank at which the exchange takes longer than compute: from `first` to `last`, infinite where it
  /// always does; empty if last <= first.
  struct interval {
    double first, last;
  };
  [[nodiscard]] interval exchange_outweighs() const;
};
[[nodiscard]] pass_time time_of_pass(const setting& s, const traffic& t, const machine& m, bool with_backward);

/// Expected smallest of `count` independent binomial numbers of (trials, chance).
[[nodiscard]] double smallest_binomial(index trials, double chance, double count);

/// Popularity of experts by Zipf's law, p_i ~ (1 + place)^-exponent, places shuffled by the seed.
[[nodiscard]] std::vector<double> zipf_popularity(const setting& s);

/// The chance that a token has an expert on each rank where its experts are drawn one after the other, without replacement,
/// by popularity. Let expert e arrive at a time of rate p_e: the first k to arrive are such a draw, and rank r, of rate
/// P_r, is hit if its first arrives before the k-th of the others:
///   integral over t of P_r exp(-P_r t) P(fewer than k of the others have arrived by t).
[[nodiscard]] std::vector<double> skewed_hits(const setting& s, std::span<const double> popularity, index ranks);

}  // namespace scaling
