// SPDX-License-Identifier: BSD-3-Clause
#include "statistics.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>

namespace specialise {

namespace {

/// The continued fraction of I_x(a, b) by Lentz's method; converges fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
  constexpr double tiny = 1e-300;
  const auto not_zero = [](double v) { return std::abs(v) < tiny ? tiny : v; };
  double c = 1, d = 1 / not_zero(1 - (a + b) * x / (a + 1)), value = d;
  for (int m = 1; m <= 500; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / not_zero(1 + even * d);
    c = not_zero(1 + even / c);
    value *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / not_zero(1 + odd * d);
    c = not_zero(1 + odd / c);
    value *= d * c;
    if (std::abs(d * c - 1) < 1e-15) break;
  }
  return value;
}

}  // namespace

double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double two_sided_probability(double t, double degrees) {
  return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t));
}

double student_t_95(double degrees) {
  double low = 0, high = 20;  // 12.7 is the largest
  for (int i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    (two_sided_probability(middle, degrees) > 0.05 ? low : high) = middle;
  }
  return (low + high) / 2;
}

estimate estimate_of(std::span<const double> values) {
  if (values.empty()) throw std::invalid_argument("estimate_of: there are 0 values, at least 1 is needed");
  estimate result;
  result.count = values.size();
  const auto n = static_cast<double>(values.size());
  for (const double value : values) result.mean += value / n;
  if (values.size() == 1) {
    result.deviation = result.half_width = std::numeric_limits<double>::quiet_NaN();
    return result;
  }
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.deviation = std::sqrt(squares / (n - 1));
  result.half_width = student_t_95(n - 1) * result.deviation / std::sqrt(n);
  return result;
}

paired_difference paired_difference_of(std::span<const double> differences) {
  paired_difference result{.difference = estimate_of(differences)};
  const estimate& d = result.difference;
  if (!d.has_interval()) return result;
  const double error = d.deviation / std::sqrt(static_cast<double>(d.count));
  if (error > 0)
    result.probability = two_sided_probability(d.mean / error, static_cast<double>(d.count - 1));
  else
    result.probability = d.mean == 0 ? 1 : 0;
  return result;
}

std::string verdict(const paired_difference& difference) {
  const estimate& d = difference.difference;
  if (!d.has_interval()) return "one seed";
  if (!d.differs_from_zero()) return "no difference seen";
  return d.mean < 0 ? "lower" : "higher";
}

}  // namespace specialise
