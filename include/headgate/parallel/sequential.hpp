// SPDX-License-Identifier: BSD-3-Clause
// The default executor: the calling thread does everything.
#pragma once

#include <headgate/config.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Runs tasks one after the other on the calling thread.
struct sequential {
  [[nodiscard]] static constexpr index workers() { return 1; }

  template <class F>
  static void run(index tasks, const F& f) {
    for (index task = 0; task < tasks; ++task) f(task, index{0});
  }
};

/// The one object that calls without an executor use.
inline constexpr sequential run_sequentially{};

}  // namespace HEADGATE_ABI
}  // namespace headgate
