// SPDX-License-Identifier: BSD-3-Clause
// Importance loss: experts should get equal sums of weights (Shazeer et al. 2017, arXiv:1701.06538, eq. 6-7).
#pragma once

#include <headgate/config.hpp>
#include <headgate/losses/batch_sums.hpp>
#include <headgate/losses/recorded.hpp>
#include <headgate/losses/squared_variation.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/routing/routing.hpp>

#include <algorithm>
#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A sum over the tokens that count (mask: true = counts, empty = all of the pass), then a ratio: the size of the batch
/// cancels.
///
///   importance_i = sum_t G_ti,   L = CV(importance)^2
///
/// G is the combine weight, 0 where a token did not choose i, and gets the gradient. 0 for equal importance and where
/// there is none; E - 1 if one expert has it all (E with `variance_of::sample`). The paper's
/// language models train with the weight 0.1. With sums (null = this micro-batch's own), importance is that of the whole
/// batch (`batch_sums`), and the gradient that of its micro-batches' mean.
template <class T>
struct importance_balance {
  static constexpr const char* name = "importance_balance";
  T weight = T{1};
  variance_of variance = variance_of::population;
  std::span<const bool> mask{};
  const batch_sums<T>* sums = nullptr;

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    const token_mask counts(name, mask, r);
    const index assigned = r.assignments.size();
    if (sums) sums->check(name, r);
    if (sums ? sums->parts() == 0 : assigned == 0) return T{0};
    if (d.weights.size() != assigned)
      refuse(name, ": the gradient is of ", d.weights.size(), " weights, the record has ", assigned);

    const view<double> rows = d.sums.zero(2, r.experts);  // a sum of float would lose digits as the batch grows
    double *const importance = rows.row(0), *const dimportance = rows.row(1);
    if (sums) std::copy_n(sums->importance().data(), r.experts, importance);
    for (const auto& a : r.assignments)
      if (!sums && counts(a.token)) importance[a.expert] += static_cast<double>(a.weight);
    const double value = squared_variation(importance, dimportance, r.experts, variance, detail::smallest_mean<T>);
    if (sums)
      for (index i = 0; i < r.experts; ++i) dimportance[i] *= static_cast<double>(sums->parts());
    for (index i = 0; i < assigned; ++i) {
      const auto& a = r.assignments[i];
      if (counts(a.token)) d.weights(i, 0) += weight * static_cast<T>(dimportance[a.expert]);
    }
    return static_cast<T>(value);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
