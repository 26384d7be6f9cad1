// SPDX-License-Identifier: BSD-3-Clause
// Softmax cross entropy of a classifier's logits.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/kernels/softmax.hpp>
#include <headgate/losses/task_loss.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A mean over rows, of logits z (rows x classes) and one label in [0, classes) a row:
///
///   L = mean_r (log sum_j exp z_rj - z_r,label),   dz = (softmax(z) - onehot(label)) / rows
///
/// Writes dz, which is resized if it owns its memory and may be the logits themselves. Large logits do not overflow. No
/// row: 0.
template <class T, class Z, class Dz>
T cross_entropy(const Z& logits, std::span<const index> labels, Dz& dz) {
  const in<T> z = row_major<T>(logits);
  const index rows = z.rows(), classes = z.cols();
  if (static_cast<index>(labels.size()) != rows)
    refuse("cross_entropy: there are ", static_cast<index>(labels.size()), " labels for ", rows, " rows of logits");
  for (const index label : labels)
    if (label < 0 || label >= classes) refuse("cross_entropy: a label is ", label, ", there are ", classes, " classes");
  check_apart_or_same<T>(z, row_major<T>(dz), "cross_entropy", "logits and dz");  // before dz is resized
  out<T> gradient = prepare<T>(dz, rows, classes, "cross_entropy", "dz");
  if (rows == 0) return T{0};

  const auto from = view_of(z);
  const auto to = view_of(gradient);
  const T scale = T{1} / static_cast<T>(rows);
  double sum = 0;
  for (index r = 0; r < rows; ++r) {
    const index label = labels[static_cast<std::size_t>(r)];
    sum += static_cast<double>(kernels::log_sum_exp_row(from.row(r), classes) - from(r, label));
    T* p = to.row(r);
    kernels::softmax_row(from.row(r), p, classes);
    p[label] -= T{1};
    for (index j = 0; j < classes; ++j) p[j] *= scale;
  }
  return static_cast<T>(sum / static_cast<double>(rows));
}

/// The same into a new matrix.
template <class T, class Z>
[[nodiscard]] task_loss<T> cross_entropy(const Z& logits, std::span<const index> labels) {
  task_loss<T> loss;
  loss.value = cross_entropy<T>(logits, labels, loss.gradient);
  return loss;
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
