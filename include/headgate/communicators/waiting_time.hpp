// SPDX-License-Identifier: BSD-3-Clause
// How long a rank has waited for others, by a clock that stands still while the rank itself does.
#pragma once

#include <headgate/config.hpp>

#include <algorithm>
#include <chrono>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace detail {

/// Adds up the time between looks, of which each counts a slice at most, however long the clock says it took. Whoever waits
/// looks several times a slice; a job that was suspended (SIGSTOP, a batch system, a debugger) is late by hours for its next
/// look, and so are all the ranks it waits for: they have not been silent, they get their time when the job goes on.
template <class Clock = std::chrono::steady_clock>
class waiting_time {
 public:
  using duration = std::chrono::nanoseconds;
  static constexpr duration slice = std::chrono::milliseconds(100);

  [[nodiscard]] static duration of_seconds(double seconds) {
    return std::chrono::duration_cast<duration>(
        std::chrono::duration<double>((std::min)(seconds, 1e8)));  // three years; more would overflow
  }

  /// The time waited so far.
  duration look() {
    const auto now = Clock::now();
    waited_ += (std::min)(std::chrono::duration_cast<duration>(now - last_look_), slice);
    last_look_ = now;
    return waited_;
  }

 private:
  typename Clock::time_point last_look_ = Clock::now();
  duration waited_{0};
};

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
