// SPDX-License-Identifier: BSD-3-Clause
// Dynamic routing (Huang et al. 2024, arXiv:2403.07652, eq. 4-5): as many experts as it takes to be confident.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/kernels/topk.hpp>

#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Selects the shortest prefix of the experts, best first, whose scores sum to more than `mass`; at least one, and all of
/// them that are neither switched off (-inf) nor masked (`group_limit`) if mass >= 1. Ties go to the lower
/// expert index. The scores are a distribution.
template <class T>
struct top_p {
  T mass = T(0.4);

  static constexpr bool best_first = true;

  void check(gate_shape) const {
    if (!(mass >= 0)) refuse("top_p: mass is ", mass, ", it must be at least 0");
  }

  index operator()(const T* s, index experts, index* ids) const {
    kernels::topk_row(s, experts, experts, ids);
    index on = experts;  // what is switched off or masked stands last
    while (on > 1 && s[ids[on - 1]] <= std::numeric_limits<T>::lowest()) --on;
    if (mass >= T{1}) return on;  // rounding may carry the sum of a few above 1
    T sum{0};
    for (index n = 0; n < on; ++n) {
      sum += s[ids[n]];
      if (sum > mass) return n + 1;
    }
    return on;
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
