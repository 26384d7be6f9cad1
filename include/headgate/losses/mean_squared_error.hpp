// SPDX-License-Identifier: BSD-3-Clause
// Mean squared error of a layer's output.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/losses/task_loss.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A mean over all elements of y and target (rows x cols):
///
///   L = mean((y - target)^2),   dy = 2 (y - target) / (rows cols)
///
/// Writes dy, which is resized if it owns its memory and may be y itself. No element: 0.
template <class T, class Y, class Target, class Dy>
T mean_squared_error(const Y& y, const Target& target, Dy& dy) {
  const in<T> output = row_major<T>(y), wanted = row_major<T>(target);
  const index rows = output.rows(), cols = output.cols();
  if (wanted.rows() != rows || wanted.cols() != cols)
    refuse("mean_squared_error: y is ", rows, " x ", cols, ", the target is ", wanted.rows(), " x ", wanted.cols());
  check_apart_or_same<T>(output, row_major<T>(dy), "mean_squared_error", "y and dy");  // before dy is resized
  check_apart_or_same<T>(wanted, row_major<T>(dy), "mean_squared_error", "the target and dy");
  out<T> gradient = prepare<T>(dy, rows, cols, "mean_squared_error", "dy");
  if (output.size() == 0) return T{0};

  const T scale = T{2} / static_cast<T>(output.size());
  double sum = 0;  // in double, so that a float loss does not lose digits as the batch grows
  for (index r = 0; r < rows; ++r)
    for (index c = 0; c < cols; ++c) {
      const T difference = output(r, c) - wanted(r, c);
      sum += static_cast<double>(difference * difference);
      gradient(r, c) = scale * difference;
    }
  return static_cast<T>(sum / static_cast<double>(output.size()));
}

/// The same into a new matrix.
template <class T, class Y, class Target>
[[nodiscard]] task_loss<T> mean_squared_error(const Y& y, const Target& target) {
  task_loss<T> loss;
  loss.value = mean_squared_error<T>(y, target, loss.gradient);
  return loss;
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
