// SPDX-License-Identifier: BSD-3-Clause
// The experts of certain ranks (the shortcut's expert of SCMoE: Cai et al. 2024, arXiv:2404.05019).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/kernels/topk.hpp>

#include <algorithm>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Selects the k experts that follow the `skip` best, best first. Ties go to the lower expert index.
struct ranked {
  index skip = 0;
  index k = 1;

  void check(gate_shape shape) const {
    if (skip < 0) refuse("ranked: skip is ", skip, ", it must be at least 0");
    check_positive("ranked", "k", k);
    if (skip > shape.experts - k)
      refuse("ranked: skip + k is ", skip, " + ", k, ", the gate has ", shape.experts, " experts");
  }

  static constexpr bool names_each_once = true;
  static constexpr bool best_first = true;
  [[nodiscard]] index count(index /*experts*/) const { return k; }

  /// The same selection of another k.
  [[nodiscard]] ranked with_k(index other) const { return {skip, other}; }

  template <class T>
  index operator()(const T* s, index experts, index* ids) const {
    kernels::topk_row(s, experts, skip + k, ids);
    std::copy_n(ids + skip, k, ids);
    return k;
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
