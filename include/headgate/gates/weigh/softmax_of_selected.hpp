// SPDX-License-Identifier: BSD-3-Clause
// Combine weights: a softmax over the selected scores.
#pragma once

#include <headgate/config.hpp>
#include <headgate/kernels/softmax.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// w = softmax(s) over the selected; with `logits_score`: select, then softmax (Shazeer et al. 2017, arXiv:1701.06538,
/// eq. 3 and 5). Logits of unselected experts receive no gradient.
struct softmax_of_selected {
  template <class T>
  void forward(const T* s, index n, T* w) const {
    if (n > 0) kernels::softmax_row(s, w, n);
  }
  /// ds += w (dw - <w, dw>)
  template <class T>
  void backward(const T*, const T* w, index n, const T* dw, T* ds) const {
    kernels::softmax_backward_row(w, dw, ds, n);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
