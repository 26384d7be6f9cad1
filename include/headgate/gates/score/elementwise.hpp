// SPDX-License-Identifier: BSD-3-Clause
// Scores that look at one logit at a time: the logit itself, its sigmoid, its ReLU, any activation of it.
#pragma once

#include <headgate/activations/identity.hpp>
#include <headgate/activations/relu.hpp>
#include <headgate/activations/sigmoid.hpp>
#include <headgate/config.hpp>
#include <headgate/core/view.hpp>
#include <headgate/kernels/elementwise.hpp>
#include <headgate/routing/routing.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// s = activation(z). `Kind` tells balance losses what the scores are.
template <class Activation, score_kind Kind>
struct elementwise_score {
  static constexpr score_kind kind = Kind;
  HEADGATE_NO_UNIQUE_ADDRESS Activation activation{};

  template <class T>
  void forward(view<const T> z, view<T> s) const {
    kernels::activate(z, s, activation);
  }

  /// dz += ds activation'(z)
  template <class T>
  void backward(view<const T> z, view<const T>, view<const T> ds, view<T> dz) const {
    for (index t = 0; t < z.rows; ++t)
      for (index e = 0; e < z.cols; ++e) dz(t, e) += ds(t, e) * activation.derivative(z(t, e));
  }
};

/// s = z: the selection and the weights work on the logits (select, then softmax over the selected).
using logits_score = elementwise_score<identity, score_kind::logits>;
/// s = sigmoid(z): independent experts (DeepSeek-AI 2024, arXiv:2412.19437, eq. 15).
using sigmoid_score = elementwise_score<sigmoid, score_kind::positive>;
/// s = max(z, 0): the sign of the logit decides (after Zhang et al. 2021, arXiv:2104.07012, eq. 4).
using relu_score = elementwise_score<relu, score_kind::positive>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
