// SPDX-License-Identifier: BSD-3-Clause
// The softmax score, at a fixed temperature (Jacobs et al. 1991; Nie et al. 2021, arXiv:2112.14397, eq. 5).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/view.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/kernels/reduce.hpp>
#include <headgate/kernels/softmax.hpp>
#include <headgate/routing/routing.hpp>

#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// s = softmax(z), row by row.
struct softmax {
  static constexpr score_kind kind = score_kind::distribution;

  template <class T>
  void forward(view<const T> z, view<T> s) const {
    kernels::softmax_rows(z, s);
  }

  /// dz += s (ds - <s, ds>)
  template <class T>
  void backward(view<const T>, view<const T> s, view<const T> ds, view<T> dz) const {
    for (index t = 0; t < s.rows; ++t) kernels::softmax_backward_row(s.row(t), ds.row(t), dz.row(t), s.cols);
  }
};

/// s = softmax(z / temperature). The temperature may be changed between passes: `layer.gate().score.temperature =
/// schedule(step)` anneals a dense gate into a sparse one.
template <class T>
struct softmax_at {
  static constexpr score_kind kind = score_kind::distribution;
  T temperature = T{1};

  void check(gate_shape) const {
    if (!(temperature >= (std::numeric_limits<T>::min)()))
      refuse("softmax_at: temperature is ", temperature, ", it must be greater than 0");
  }

  void forward(view<const T> z, view<T> s) const {
    for (index t = 0; t < z.rows; ++t) kernels::softmax_row_at(z.row(t), temperature, s.row(t), z.cols);
  }

  /// dz += s (ds - <s, ds>) / temperature
  void backward(view<const T>, view<const T> s, view<const T> ds, view<T> dz) const {
    for (index t = 0; t < s.rows; ++t)
      kernels::softmax_backward_row(s.row(t), ds.row(t), dz.row(t), s.cols, T{1} / temperature);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
