// SPDX-License-Identifier: BSD-3-Clause
// The library's own exchange, counted (docs/scaling.md).
#pragma once

#include "report.hpp"

namespace scaling {

/// Runs an expert-parallel layer forward and backward on `ranks` threads and prints what it sent beside what the routing
/// says it has to send, to the byte, and beside the closed form.
void print_measured(const setting& s, index ranks, agreement& seen);

}  // namespace scaling
