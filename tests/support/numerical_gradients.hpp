// SPDX-License-Identifier: BSD-3-Clause
// Derivatives of the transcribed blocks by differences.
#pragma once

#include "support/published_parts.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

namespace headgate_test::published {

/// Central differences of fourth order:
///
///   f' = (8 (f(v + h) - f(v - h)) - (f(v + 2h) - f(v - 2h))) / (12 h) + O(h^4)
///
/// A block is smooth but where a token changes its experts, a ReLU its sign, a clamp its side. There two steps of different
/// size disagree, and a smaller step is tried: at 2e-4 rounding costs 1e-12 of f, at 2e-6 1e-10.
template <class Loss>
[[nodiscard]] double derivative(const Loss& loss, double& variable) {
  const double at = variable;
  const auto with_step = [&](double h) {
    const auto f = [&](double offset) {
      variable = at + offset;
      return loss();
    };
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
  };
  double last = with_step(2e-4);
  for (const double h : {2e-5, 2e-6, 2e-7}) {
    const double next = with_step(h);
    const bool agree = std::abs(next - last) < 1e-8 * (1 + std::abs(next));
    if (agree) break;  // the larger step is the more exact of the two
    last = next;
  }
  variable = at;
  return last;
}

/// dL/dx and dL/d(every tensor) of L = sum(dy * y).
struct gradients {
  rows x;
  tensors parameters;
};

/// y_of(tensors, x) gives the block's output. Of large tensors only every `stride`-th element is differentiated, the others
/// are NaN.
template <class Block>
[[nodiscard]] gradients numerical_gradients(const Block& y_of, tensors parameters, rows x, const rows& dy,
                                            size_t stride = 1) {
  const auto loss = [&] {
    const rows y = y_of(parameters, x);
    double sum = 0;
    for (size_t t = 0; t < y.size(); ++t)
      for (size_t m = 0; m < y[t].size(); ++m) sum += dy[t][m] * y[t][m];
    return sum;
  };
  gradients d{x, parameters};
  for (size_t t = 0; t < x.size(); ++t)
    for (size_t m = 0; m < x[t].size(); ++m) d.x[t][m] = derivative(loss, x[t][m]);
  for (auto& [name, values] : parameters) {
    std::vector<double>& dvalues = d.parameters.at(name).values;
    for (size_t i = 0; i < dvalues.size(); ++i)
      dvalues[i] = i % stride == 0 ? derivative(loss, values.values[i]) : std::numeric_limits<double>::quiet_NaN();
  }
  return d;
}

}  // namespace headgate_test::published
