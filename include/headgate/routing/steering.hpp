// SPDX-License-Identifier: BSD-3-Clause
// What a caller may change of a gate's decision from pass to pass, without touching the gate.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/view.hpp>
#include <headgate/routing/recorded_pass.hpp>

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Where the weights of forced experts come from.
enum class forced_weights {
  recomputed,  ///< from the present scores: the router learns
  recorded     ///< from the record: no gradient goes from the weights to the router
};

/// Set it in the workspace or tape (`memory.steering`) between passes; each part left alone leaves the gate alone. It is
/// the workspace's, so passes with other workspaces do not see it, and a `backward` follows the forward it belongs to
/// even if the steering has changed since.
template <class T>
struct steering {
  /// Experts for each token, fewer or more than the gate says; 0: as the gate says.
  index k = 0;
  /// So many best experts are left out: the token gets those of rank skip ... skip + k - 1.
  index skip = 0;
  /// Experts switched off. Their logits are -infinity from the head on: for scores, weights and losses they are as good
  /// as absent, and they get no assignment, also where that leaves a token fewer than k.
  std::vector<index> off{};
  /// The experts come from here instead of the selection: a pass of as many tokens. The caller keeps it alive.
  /// A token's experts are taken to stand in the order in which the gate's own selection would name them
  /// (`routing::best_first`).
  const recorded_pass<T>* forced = nullptr;
  forced_weights weights = forced_weights::recomputed;
  /// Tokens that count (true = counts, empty = all), as losses read it. Padding: all experts are off for the others, so
  /// they take no place of an expert and get 0 from the routed experts; also where `forced` names some for them. The record
  /// keeps a copy, and losses and `expert_counts::collect` leave these tokens out by themselves. The caller keeps the
  /// mask alive until after the forward.
  std::span<const bool> mask{};

  [[nodiscard]] bool is_set() const {
    return k != 0 || skip != 0 || !off.empty() || forced != nullptr || !mask.empty();
  }

  /// Whether the token counts.
  [[nodiscard]] bool counts(index token) const { return mask.empty() || mask[static_cast<std::size_t>(token)]; }

  /// Refuses what no gate of so many experts can do with a batch of so many tokens.
  void check(index tokens, index experts) const {
    if (k < 0 || k > experts) refuse("steering: k is ", k, ", the gate has ", experts, " experts");
    if (skip < 0 || skip >= experts) refuse("steering: skip is ", skip, ", the gate has ", experts, " experts");
    (void)ranks(k, experts);
    for (const index e : off)
      if (e < 0 || e >= experts) refuse("steering: expert ", e, " is switched off, the gate has ", experts);
    if (const auto length = static_cast<index>(mask.size()); length != 0 && length != tokens)
      refuse("steering: the mask has ", length, " entries, the batch has ", tokens, " tokens");
    if (forced == nullptr) return;
    if (k != 0 || skip != 0)
      refuse("steering: the experts are forced, so that k and skip must be 0, they are ", k, " and ", skip);
    if (forced->experts() != experts)
      refuse("steering: the forced routing was recorded with ", forced->experts(), " experts, the gate has ", experts);
    if (forced->tokens() != tokens)
      refuse("steering: the forced routing is of ", forced->tokens(), " tokens, the batch has ", tokens);
    if (weights == forced_weights::recorded && !forced->has_weights())
      refuse("steering: the forced routing was recorded without weights");
  }

  /// How many of the best a selection must name whose own number is own_k. Refuses more than there are.
  [[nodiscard]] index ranks(index own_k, index experts) const {
    const index each = k > 0 ? k : own_k;
    if (skip + each > experts)
      refuse("steering: skip is ", skip, " and k ", each, ", together more than the gate's ", experts, " experts");
    return skip + each;
  }

  /// For a gate that has no ranks and no weight for an expert that is not its choice: `check`, and refuses all but `off`
  /// and `mask`.
  void check_switches_only(const char* owner, index tokens, index experts) const {
    if (k != 0 || skip != 0 || forced != nullptr)
      refuse(owner, ": steering sets k, skip or forced, this gate can only switch experts off");
    check(tokens, experts);
  }

  /// Writes -infinity to the logits of the experts that are off, and to all of a token that does not count. Needs a `check`
  /// before it; refuses to leave a token that counts no expert if it had one.
  void switch_off(view<T> logits) const {
    constexpr T switched_off = -std::numeric_limits<T>::infinity();
    if (off.empty() && mask.empty()) return;
    for (index t = 0; t < logits.rows; ++t) {
      T* const z = logits.row(t);
      if (!counts(t)) {
        std::fill_n(z, logits.cols, switched_off);
        continue;
      }
      const auto some_on = [&] { return std::any_of(z, z + logits.cols, [](T one) { return one > switched_off; }); };
      const bool had_some = some_on();
      for (const index e : off) z[e] = switched_off;
      if (had_some && !some_on()) refuse("steering: all ", logits.cols, " experts are switched off for token ", t);
    }
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
