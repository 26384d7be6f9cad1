// SPDX-License-Identifier: BSD-3-Clause
// Selections by value: any number of experts, none included, in index order.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/gates/stages.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Selects the experts with s >= value (AdaMoLE: Liu & Luo 2024, arXiv:2405.00361, eq. 5, with value = 0 on margins).
template <class T>
struct at_least {
  T value = T{0};

  void check(gate_shape) const {
    if (!(value == value)) refuse("at_least: value is ", value, ", it must be a number");
  }

  index operator()(const T* s, index experts, index* ids) const {
    index count = 0;
    for (index e = 0; e < experts; ++e)
      if (s[e] >= value) ids[count++] = e;
    return count;
  }
};

/// Selects the experts with s > 0: those a ReLU score leaves on.
struct positive {
  template <class T>
  index operator()(const T* s, index experts, index* ids) const {
    index count = 0;
    for (index e = 0; e < experts; ++e)
      if (s[e] > 0) ids[count++] = e;
    return count;
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
