// SPDX-License-Identifier: BSD-3-Clause
// Combine weights: the selected scores as they are.
#pragma once

#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// w = s: the scores as they are (Fedus et al. 2021, arXiv:2101.03961, eq. 2). After a softmax over all experts the
/// logits of unselected experts receive gradient too.
struct raw {
  template <class T>
  void forward(const T* s, index n, T* w) const {
    for (index i = 0; i < n; ++i) w[i] = s[i];
  }
  /// ds += dw
  template <class T>
  void backward(const T*, const T*, index n, const T* dw, T* ds) const {
    for (index i = 0; i < n; ++i) ds[i] += dw[i];
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
