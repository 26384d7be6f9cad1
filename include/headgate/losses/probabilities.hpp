// SPDX-License-Identifier: BSD-3-Clause
// The one place that turns a row of the routing record into a probability for each expert, and its pull-back.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/kernels/softmax.hpp>
#include <headgate/losses/recorded.hpp>
#include <headgate/routing/routing.hpp>

#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {

/// Sum of a row of scores that are not negative; 0 for a row too small to divide by.
template <class T>
T mass(const T* s, index n) {
  T sum{0};
  for (index i = 0; i < n; ++i) sum += s[i];
  return sum < (std::numeric_limits<T>::min)() ? T{0} : sum;
}

}  // namespace detail

/// Refuses a record that says nothing about probabilities, and a gradient that was not reset for it.
template <class T>
void check_probabilities(const char* owner, const routing<T>& r, const routing_gradient<T>& d) {
  switch (r.scores_are) {
    case score_kind::none:
      refuse(owner, ": the gate records no scores that could be read as probabilities");
    case score_kind::logits:
      return check_recorded(owner, "router logits", r.logits, d.logits);
    case score_kind::distribution:
    case score_kind::positive:
      return check_recorded(owner, "scores", r.scores, d.scores);
  }
}

/// The probabilities p (experts) of a token, as `r.scores_are` says:
///
///   distribution   p = s
///   logits         p = softmax(z)
///   positive       p = s / sum(s)    zeros if the whole row is zero
///
/// Losses with masks, balance and entropy all read p from here, so a softmax is never taken twice.
template <class T>
void probabilities(const routing<T>& r, index token, T* p) {
  const index n = r.experts;
  if (r.scores_are == score_kind::logits) return kernels::softmax_row(r.logits.row(token), p, n);
  const T* s = r.scores.row(token);
  const T sum = r.scores_are == score_kind::positive ? detail::mass(s, n) : T{1};
  for (index i = 0; i < n; ++i) p[i] = sum == T{0} ? T{0} : s[i] / sum;
}

/// Adds to d.scores or d.logits what dL/dp = dp (experts) means there; p is what `probabilities` gave.
///
///   distribution   ds += dp
///   logits         dz += p (dp - <p, dp>)
///   positive       ds += (dp - <p, dp>) / sum(s)    nothing if the whole row is zero
template <class T>
void pull_back_probabilities(const routing<T>& r, index token, const T* p, const T* dp, routing_gradient<T>& d) {
  const index n = r.experts;
  if (r.scores_are == score_kind::distribution) {
    T* ds = d.scores.row(token);
    for (index i = 0; i < n; ++i) ds[i] += dp[i];
    return;
  }
  if (r.scores_are == score_kind::logits) return kernels::softmax_backward_row(p, dp, d.logits.row(token), n);
  const T sum = detail::mass(r.scores.row(token), n);
  if (sum == T{0}) return;
  T mean{0};
  for (index i = 0; i < n; ++i) mean += p[i] * dp[i];
  T* ds = d.scores.row(token);
  for (index i = 0; i < n; ++i) ds[i] += (dp[i] - mean) / sum;
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
