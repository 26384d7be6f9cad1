// SPDX-License-Identifier: BSD-3-Clause
// What a few seeds say: mean, spread and 95 % confidence interval of a group and of paired differences.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace specialise {

/// The regularised incomplete beta function I_x(a, b) (continued fraction, Abramowitz and Stegun 26.5.8), 0 <= x <= 1.
[[nodiscard]] double incomplete_beta(double a, double b, double x);

/// P(|T| > t) of Student's distribution: I_x(n/2, 1/2) with x = n / (n + t^2) for n degrees of freedom.
[[nodiscard]] double two_sided_probability(double t, double degrees);

/// The t whose two-sided probability is 5 %: 12.706 for one degree of freedom, 1.960 for very many.
[[nodiscard]] double student_t_95(double degrees);

/// Of independent values, as one for each seed.
struct estimate {
  std::size_t count = 0;
  double mean = 0;
  double deviation = 0;   // sqrt(sum (x - mean)^2 / (count - 1)); no number for one value
  double half_width = 0;  // of the 95 % interval: t deviation / sqrt(count); no number for one value

  [[nodiscard]] bool has_interval() const { return count > 1; }
  /// Whether the interval leaves out zero.
  [[nodiscard]] bool differs_from_zero() const {
    return has_interval() && (mean - half_width > 0 || mean + half_width < 0);
  }
};

/// Refuses no values at all.
[[nodiscard]] estimate estimate_of(std::span<const double> values);

/// A mean of differences of pairs, as of the same seed, with the probability of one as large by chance.
struct paired_difference {
  estimate difference;
  double probability = 1;  // two-sided paired t test; 1 for one pair
};

[[nodiscard]] paired_difference paired_difference_of(std::span<const double> differences);

/// "lower", "higher", "no difference seen" (the interval holds zero) or "one seed" (which says nothing).
[[nodiscard]] std::string verdict(const paired_difference& difference);

}  // namespace specialise
