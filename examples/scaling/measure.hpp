// SPDX-License-Identifier: BSD-3-Clause
// The library's own exchange, counted (docs/scaling.md).
#pragma once

#include "report.hpp"

#include <cstddef>
#include <vector>

namespace scaling {

/// What one rank sends to others in one pass.
struct sent {
  index messages = 0, bytes = 0;
  void add(index values, std::size_t size) {
    messages += values > 0;
    bytes += values * static_cast<index>(size);
  }
  void add(const sent& other) {
    messages += other.messages;
    bytes += other.bytes;
  }
};

struct two_passes {
  sent forward, backward;
};

/// The setting of a run on so many ranks: tokens that are logits, as many as the ranks have.
[[nodiscard]] setting measured_setting(const setting& whole, index ranks);

/// What each rank of `measured_setting` sends on threads.
[[nodiscard]] std::vector<two_passes> measure_on_threads(const setting& s, index ranks);

/// Prints what the ranks of `measured_setting` sent beside what the routing says they have to send, to the byte, and beside
/// the closed form.
void print_measured(const setting& s, const std::vector<two_passes>& measured, agreement& seen);

}  // namespace scaling
