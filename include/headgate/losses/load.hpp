// SPDX-License-Identifier: BSD-3-Clause
// Load loss: experts should get equal numbers of tokens, made smooth by the gate's noise (Shazeer et al. 2017,
// arXiv:1701.06538, appendix A, eq. 8-11).
#pragma once

#include <headgate/config.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/losses/recorded.hpp>
#include <headgate/losses/squared_variation.hpp>
#include <headgate/losses/token_mask.hpp>
#include <headgate/routing/routing.hpp>

#include <algorithm>
#include <cmath>
#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {

/// Phi(u), and its derivative.
template <class T>
T normal_cdf(T u) {
  return std::erfc(-u * T(0.70710678118654752)) / T{2};
}
template <class T>
T normal_density(T u) {
  return T(0.39894228040143268) * std::exp(-u * u / T{2});
}

/// The k-th and the (k+1)-th largest of z (n), 0 < k < n: an expert outside the chosen k has to beat the one, an expert
/// inside has to stay above the other.
struct boundary {
  index last_in;
  index first_out;
};

template <class T>
boundary find_boundary(const T* z, index n, index k, T* sorted) {
  std::copy(z, z + n, sorted);
  std::nth_element(sorted, sorted + k, sorted + n, [](T a, T b) { return a > b; });
  const auto place_of = [z, n](T value) {
    index i = 0;
    while (i < n - 1 && z[i] != value) ++i;
    return i;
  };
  return {place_of(*std::min_element(sorted, sorted + k)), place_of(sorted[k])};
}

}  // namespace detail

/// A sum over the tokens that count (mask: true = counts, empty = all of the pass), then a ratio: the size of the batch
/// cancels.
///
///   load_i = sum_t Phi((clean_ti - threshold_ti) / scale_ti),   L = CV(load)^2
///
/// clean are the logits before the noise, scale is the noise's standard deviation, and threshold is the k-th largest of
/// the other experts' noisy logits, k being the number of experts that the token chose, before `random_second` drops
/// some: the gate is taken to choose the k largest. All three get a gradient, the threshold in `logits`. Where nothing
/// can change the choice (no noise, all experts or none chosen) the load is the count of the tokens, without a
/// gradient. An expert that is switched off for a token (logit -inf) has no load by it and gets no gradient. 0 for
/// equal loads and where there is none; E - 1 if one expert has it all (E with `variance_of::sample`). The paper's
/// language models train with the weight 0.1.
template <class T>
struct load_balance {
  static constexpr const char* name = "load_balance";
  T weight = T{1};
  variance_of variance = variance_of::population;
  std::span<const bool> mask{};

  T operator()(const routing<T>& r, routing_gradient<T>& d) const {
    const token_mask counts(name, mask, r);
    const auto& choices = r.chosen.empty() ? r.assignments : r.chosen;
    if (choices.empty()) return T{0};
    const bool noisy = r.noise_scale.size() != 0;
    if (noisy) {
      check_recorded(name, "noise scales", r.noise_scale, d.noise_scale);
      check_recorded(name, "logits before the noise", r.clean_logits, d.clean_logits);
      check_recorded(name, "router logits", r.logits, d.logits);
    }

    const index n = r.experts;
    const view<double> sums = d.sums.zero(2, n);  // a sum of float would lose digits as the batch grows
    double *const load = sums.row(0), *const dload = sums.row(1);
    T* const sorted = d.row.resize(1, n).data;
    index* const chosen = d.counts.zero(1, r.tokens).data;
    for (const auto& a : choices) ++chosen[a.token];

    const auto smooth = [&](index t) { return noisy && counts(t) && chosen[t] > 0 && chosen[t] < n; };
    // visit(t, i, threshold, u): expert `threshold` is the one to beat, and i is u standard deviations above it.
    const auto for_each_distance = [&](const auto& visit) {
      for (index t = 0; t < r.tokens; ++t) {
        if (!smooth(t)) continue;
        const T *z = r.logits.row(t), *clean = r.clean_logits.row(t), *scale = r.noise_scale.row(t);
        const auto [last_in, first_out] = detail::find_boundary(z, n, chosen[t], sorted);
        for (index i = 0; i < n; ++i) {
          if (kernels::is_minus_infinity(z[i])) continue;
          const index threshold = z[i] > z[first_out] ? first_out : last_in;
          const T distance = clean[i] - z[threshold];
          visit(t, i, threshold, distance == T{0} ? T{0} : distance / scale[i]);
        }
      }
    };

    for (const auto& a : choices)
      if (counts(a.token) && !smooth(a.token)) load[a.expert] += 1;
    for_each_distance([&](index, index i, index, T u) { load[i] += static_cast<double>(detail::normal_cdf(u)); });
    const double value = squared_variation(load, dload, n, variance, detail::smallest_mean<T>);
    for_each_distance([&](index t, index i, index threshold, T u) {
      const T density = detail::normal_density(u), scale = r.noise_scale(t, i);
      if (density == T{0} || scale == T{0}) return;  // out of reach of the noise, and u may be infinite
      const T du = weight * static_cast<T>(dload[i]) * density / scale;
      d.clean_logits(t, i) += du;
      d.noise_scale(t, i) -= du * u;
      d.logits(t, threshold) -= du;
    });
    return static_cast<T>(value);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
