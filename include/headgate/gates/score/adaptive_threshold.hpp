// SPDX-License-Identifier: BSD-3-Clause
// AdaMoLE's score: the margin of each expert's probability over a threshold that the token sets itself
// (Liu & Luo 2024, arXiv:2405.00361, eq. 4-6).
#pragma once

#include <headgate/activations/sigmoid.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/kernels/elementwise.hpp>
#include <headgate/kernels/reduce.hpp>
#include <headgate/kernels/softmax.hpp>
#include <headgate/routing/routing.hpp>

#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// p = softmax(z),  tau = max_threshold * sigmoid(<x, weight> + bias),  s = p - tau      (tokens x experts)
///
/// Select with `at_least{0}` (s >= 0) and weigh with `renormalised`: w_e = (p_e - tau) / sum of the selected. The balance
/// losses read the probabilities p, as the paper writes, not the margins, as its code does. max_threshold = 0 means
/// 1 / experts, the paper's value, at which at least one expert is always active; above it a token may have none, and
/// its output is zero.
template <class T>
struct adaptive_threshold {
  static constexpr score_kind kind = score_kind::logits;

  struct params {
    matrix<T> threshold_weight;  // (1 x model)
    matrix<T> threshold_bias;    // (1 x 1)
  };
  struct cache {
    scratch<T> probabilities;  // (tokens x experts)
    scratch<T> gate;           // (tokens x 1), the sigmoid
  };
  static constexpr auto fields = std::tuple{field{"threshold_weight", &params::threshold_weight},
                                            field{"threshold_bias", &params::threshold_bias}};

  T max_threshold = T{0};

  void check(gate_shape) const {
    if (!(max_threshold >= 0 && max_threshold <= (std::numeric_limits<T>::max)()))
      refuse("adaptive_threshold: max_threshold is ", max_threshold, ", it must be at least 0 and finite");
  }

  /// Weights start as small normal numbers (standard deviation 0.02), the bias at zero: tau starts at half its maximum.
  [[nodiscard]] params init(gate_shape shape, std::mt19937_64& generator) const {
    return {randn<T>(1, shape.model, generator, T(0.02)), matrix<T>::Zero(1, 1)};
  }

  template <class Pass>
  void forward(const params& p, in<T> x, view<const T> z, view<T> s, cache& c, const Pass&) const {
    const T most = largest_threshold(z.cols);
    c.probabilities.resize(z.rows, z.cols);
    c.gate.resize(z.rows, 1);
    for (index t = 0; t < z.rows; ++t) {
      const T logit = kernels::dot_row(view_of(x).row(t), p.threshold_weight.data(), x.cols()) + p.threshold_bias(0, 0);
      c.gate(t, 0) = sigmoid{}.value(logit);
      const T tau = most * c.gate(t, 0);
      kernels::softmax_row(z.row(t), c.probabilities.row(t), z.cols);
      for (index e = 0; e < z.cols; ++e) s(t, e) = c.probabilities(t, e) - tau;
    }
  }

  /// dp = ds, dtau = -sum of ds.
  template <class Pass>
  void backward(const params& p, in<T> x, view<const T> z, view<const T>, view<const T> ds, view<T> dz, out<T> dx,
                params& dp, cache& c, const Pass&) const {
    const T most = largest_threshold(z.cols);
    for (index t = 0; t < z.rows; ++t) {
      kernels::softmax_backward_row(c.probabilities.row(t), ds.row(t), dz.row(t), z.cols);
      T dtau{0};
      for (index e = 0; e < z.cols; ++e) dtau -= ds(t, e);
      const T dlogit = dtau * most * c.gate(t, 0) * (T{1} - c.gate(t, 0));
      dp.threshold_bias(0, 0) += dlogit;
      kernels::axpy_row(dlogit, view_of(x).row(t), dp.threshold_weight.data(), x.cols());
      kernels::axpy_row(dlogit, p.threshold_weight.data(), view_of(dx).row(t), x.cols());
    }
  }

 private:
  [[nodiscard]] T largest_threshold(index experts) const {
    return max_threshold > 0 ? max_threshold : T{1} / static_cast<T>(experts);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
