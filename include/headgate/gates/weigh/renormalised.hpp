// SPDX-License-Identifier: BSD-3-Clause
// Combine weights: the selected scores, scaled to sum to one.
#pragma once

#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// w = s / sum(s) over the selected (Jiang et al. 2024, arXiv:2401.04088, section 2.1). A sum of zero leaves w at zero.
/// After a softmax this equals `softmax_of_selected` on the logits, in value and in gradient.
struct renormalised {
  template <class T>
  void forward(const T* s, index n, T* w) const {
    const T total = sum(s, n);
    for (index i = 0; i < n; ++i) w[i] = s[i] / total;
  }
  /// ds_i += (dw_i - <dw, w>) / sum(s)
  template <class T>
  void backward(const T* s, const T* w, index n, const T* dw, T* ds) const {
    const T total = sum(s, n);
    T mean{0};
    for (index i = 0; i < n; ++i) mean += dw[i] * w[i];
    for (index i = 0; i < n; ++i) ds[i] += (dw[i] - mean) / total;
  }

 private:
  template <class T>
  static T sum(const T* s, index n) {
    T total{0};
    for (index i = 0; i < n; ++i) total += s[i];
    return total == T{0} ? T{1} : total;
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
