// SPDX-License-Identifier: BSD-3-Clause
// What all balance losses of frequencies and probabilities share: they differ in which tokens are counted together, where the
// counts come from, and which experts share one count.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/losses/counted_choices.hpp>
#include <headgate/losses/expert_counts.hpp>
#include <headgate/losses/probabilities.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/losses/token_sequences.hpp>
#include <headgate/routing/routing.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace detail {

/// f(j) for the experts on i's device, ascending; for i alone where no devices are given.
template <class F>
void for_each_on_device(std::span<const index> devices, index i, const F& f) {
  if (devices.empty()) return f(i);
  const index device = devices[static_cast<std::size_t>(i)];
  for (std::size_t j = 0; j < devices.size(); ++j)
    if (devices[j] == device) f(static_cast<index>(j));
}

template <class T>
T quotient(index whole, index by) {
  return static_cast<T>(static_cast<double>(whole) / static_cast<double>(by));
}

/// f_i = E mean_{j in G(i)} c_j / sum_j c_j   (experts)
///
/// G(i) are the experts of i's device, or i alone where no devices are given. Whole numbers until the one division, which is
/// in double (float has not all whole numbers above 2^24), so that equal counts give exactly 1, and one expert a device
/// exactly what no devices give. False, and nothing written, without a count.
template <class T>
bool relative_frequencies(std::span<const index> counts, std::span<const index> devices, T* f) {
  const auto experts = static_cast<index>(counts.size());
  index total = 0;
  for (const index count : counts) total += count;
  if (total == 0) return false;
  for (index i = 0; i < experts; ++i) {
    index count = 0, members = 0;
    for_each_on_device(devices, i, [&](index j) {
      count += counts[static_cast<std::size_t>(j)];
      ++members;
    });
    f[i] = quotient<T>(experts * count, members * total);
  }
  return true;
}

/// The mean, over the sequences s that have a counting token, of sum_i f_i P_i, P_i being the mean of p_ti over these tokens;
/// adds weight times its gradient to d. frequencies(s, f) writes the f (experts) of a sequence, which carry no gradient, or
/// returns false: the term is then 0.
template <class T, class Frequencies>
T mean_balance(T weight, const token_mask& counted, const token_sequences& sequences, const routing<T>& r,
               routing_gradient<T>& d, const Frequencies& frequencies) {
  const auto counting_in = [&](index s) {
    index count = 0;
    for (index t = sequences.begin(s); t < sequences.end(s); ++t) count += counted(t) ? 1 : 0;
    return count;
  };
  index terms = 0;
  for (index s = 0; s < sequences.count(); ++s) terms += counting_in(s) > 0 ? 1 : 0;

  const view<T> rows = d.row.resize(3, r.experts);
  T *const f = rows.row(0), *const dp = rows.row(1), *const p = rows.row(2);
  double value = 0;  // in double, so that a float loss does not lose digits as the batch grows
  for (index s = 0; s < sequences.count(); ++s) {
    const index tokens = counting_in(s);
    if (tokens == 0 || !frequencies(s, f)) continue;
    const T scale = weight / static_cast<T>(tokens * terms);
    for (index i = 0; i < r.experts; ++i) dp[i] = scale * f[i];
    double sum = 0;
    for (index t = sequences.begin(s); t < sequences.end(s); ++t) {
      if (!counted(t)) continue;
      probabilities(r, t, p);
      T share{0};
      for (index i = 0; i < r.experts; ++i) share += f[i] * p[i];
      sum += static_cast<double>(share);
      pull_back_probabilities(r, t, p, dp, d);
    }
    value += sum / static_cast<double>(tokens);
  }
  return terms == 0 ? T{0} : static_cast<T>(value / static_cast<double>(terms));
}

/// Where the frequencies of a balance loss come from.
struct frequency_source {
  const expert_counts* pooled = nullptr;           ///< null: each sequence's own assignments
  std::span<const index> devices{};                ///< (experts), empty: each expert by itself
  counted_choices choices = counted_choices::all;  ///< of each sequence's own; pooled counts are what they are
};

/// `mean_balance` with f from these counts and devices.
template <class T>
T balance(const char* owner, T weight, const token_mask& counted, const token_sequences& sequences,
          const frequency_source& from, const routing<T>& r, routing_gradient<T>& d) {
  if (!from.devices.empty() && static_cast<index>(from.devices.size()) != r.experts)
    refuse(owner, ": there are ", from.devices.size(), " device ids, the record has ", r.experts, " experts");
  if (counted.counting() == 0 || (from.pooled && from.pooled->total() == 0)) return T{0};
  if (from.pooled && from.pooled->experts() != r.experts)
    refuse(owner, ": the counts are of ", from.pooled->experts(), " experts, the record has ", r.experts);
  if (!from.pooled) check_choices(owner, from.choices, r);
  check_probabilities(owner, r, d);

  if (from.pooled)
    return mean_balance(weight, counted, sequences, r, d,
                        [&](index, T* f) { return relative_frequencies(from.pooled->counts(), from.devices, f); });
  const index size = sequences.count() * r.experts;
  index* const own = d.counts.zero(1, size + memory_for(from.choices, r.tokens)).data;
  const view<index> counts(own, sequences.count(), r.experts);
  for_each_choice(r, counted, from.choices, own + size,
                  [&](const assignment<T>& a) { ++counts(sequences.of(a.token), a.expert); });
  return mean_balance(weight, counted, sequences, r, d, [&](index s, T* f) {
    return relative_frequencies({counts.row(s), static_cast<std::size_t>(r.experts)}, from.devices, f);
  });
}

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
