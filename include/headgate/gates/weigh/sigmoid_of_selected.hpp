// SPDX-License-Identifier: BSD-3-Clause
// Combine weights: the sigmoid of each selected score (Llama 4).
#pragma once

#include <headgate/activations/sigmoid.hpp>
#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// w = sigmoid(s); with `logits_score`: choose by the logits, weigh with their sigmoid. The sigmoid rises, so the same
/// experts are chosen as by `sigmoid_score` and `raw`, except among those where it has reached 0 or 1.
struct sigmoid_of_selected {
  template <class T>
  void forward(const T* s, index n, T* w) const {
    for (index i = 0; i < n; ++i) w[i] = sigmoid{}.value(s[i]);
  }
  /// ds += dw sigmoid'(s)
  template <class T>
  void backward(const T* s, const T*, index n, const T* dw, T* ds) const {
    for (index i = 0; i < n; ++i) ds[i] += dw[i] * sigmoid{}.derivative(s[i]);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
