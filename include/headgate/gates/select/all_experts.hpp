// SPDX-License-Identifier: BSD-3-Clause
// The dense selection: every expert, in index order.
#pragma once

#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Selects every expert.
struct all_experts {
  static constexpr bool names_each_once = true;
  [[nodiscard]] index count(index experts) const { return experts; }

  template <class T>
  index operator()(const T*, index experts, index* ids) const {
    for (index e = 0; e < experts; ++e) ids[e] = e;
    return experts;
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
