// SPDX-License-Identifier: BSD-3-Clause
// The routing record: what a gate decides, and what experts, losses, telemetry and replay read.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/scratch.hpp>

#include <algorithm>
#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// One token sent to one expert with a combine weight.
template <class T>
struct assignment {
  index token;
  index expert;
  T weight;
};

/// What a row of scores is, hence how a balance loss turns it into a probability for each expert (docs/losses.md).
enum class score_kind {
  none,          ///< the gate records no scores (hash routing, enforced routing)
  distribution,  ///< the row sums to one: the scores are the probabilities
  logits,        ///< any sign: the probabilities are the softmax of the router logits
  positive       ///< not negative (sigmoid, ReLU): the probabilities are the scores divided by their sum
};

/// A gate's decision for a batch. Ragged: a token may have no, one, k or all experts.
///
/// `assignments` may stand in any order; a token's rows are combined by ascending expert, those of one expert in the order
/// in which they stand. A gate that learns also fills the dense rows; each of them is (tokens x experts) or empty.
template <class T>
struct routing {
  index tokens = 0;
  index experts = 0;
  array<headgate::assignment<T>> assignments;

  scratch<T> logits;  ///< z, what the head computed (with its noise, if it adds any)
  scratch<T> scores;  ///< s = score(z)
  score_kind scores_are = score_kind::none;
  /// Each token's assignments stand in the order in which it chose them. The gate says so; where it does not, what asks for
  /// first choices refuses (`counted_choices::first`, `drop::by_choice`, `drop::by_priority`, `random_second`).
  bool best_first = false;
  /// What the gate chose before assignments were dropped at random (`random_second`, in training); empty: the assignments.
  array<headgate::assignment<T>> chosen;
  scratch<T> clean_logits;  ///< noisy gates only: z before the noise
  scratch<T> noise_scale;   ///< noisy gates only: standard deviation of the noise
  scratch<bool> mask;       ///< (tokens x 1) of the pass, true = the token counts, or empty: all count

  /// Empties the record for a new batch; keeps its memory.
  void reset(index token_count, index expert_count) {
    tokens = token_count;
    experts = expert_count;
    assignments.clear();
    chosen.clear();
    scores_are = score_kind::none;
    best_first = false;
    for (scratch<T>* rows : {&logits, &scores, &clean_logits, &noise_scale}) rows->resize(0, 0);
    mask.resize(0, 0);
  }

  /// Keeps a copy of the mask that the pass was made with (`steering::mask`; as many entries as tokens, or none), so that
  /// whatever reads the record knows which tokens count: a layer does it, after the gate.
  void keep_mask(std::span<const bool> of_pass) {
    const auto count = static_cast<index>(of_pass.size());
    if (count != 0 && count != tokens)
      refuse("routing::keep_mask: the mask has ", count, " entries, the record has ", tokens, " tokens");
    std::copy(of_pass.begin(), of_pass.end(), mask.resize(count, count == 0 ? 0 : 1).data);
  }
  /// How many tokens count.
  [[nodiscard]] index counting() const {
    return mask.size() == 0 ? tokens : static_cast<index>(std::count(mask.data(), mask.data() + mask.size(), true));
  }

  /// Number of assignments of each expert (experts), dropped ones included. Allocates: meant for telemetry.
  [[nodiscard]] array<index> load() const {
    array<index> count(experts);
    for (const auto& a : assignments) ++count[a.expert];
    return count;
  }
};

/// dL/d(record): what losses and the combination add up, and what a gate's backward turns into parameter gradients.
/// Each dense block is (tokens x experts), or empty where the record's own block is empty.
template <class T>
struct routing_gradient {
  scratch<T> weights;  ///< (assignments x 1), in the order of `routing::assignments`
  scratch<T> logits;
  scratch<T> scores;
  scratch<T> clean_logits;
  scratch<T> noise_scale;
  scratch<T> row;         ///< working memory of the losses
  scratch<double> sums;   ///< the same, for sums over tokens
  scratch<index> counts;  ///< the same, for numbers of assignments

  /// All zero, shaped like r.
  void reset(const routing<T>& r) {
    weights.zero(r.assignments.size(), 1);
    logits.zero(r.logits.rows(), r.logits.cols());
    scores.zero(r.scores.rows(), r.scores.cols());
    clean_logits.zero(r.clean_logits.rows(), r.clean_logits.cols());
    noise_scale.zero(r.noise_scale.rows(), r.noise_scale.cols());
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
