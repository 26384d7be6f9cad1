// SPDX-License-Identifier: BSD-3-Clause
// The report for a terminal.
#pragma once

#include "read_runs.hpp"

#include <string>

namespace specialise {

/// Pools, layers, pools against global, ranks against one rank, weights, and what was left out. All but the weights are of
/// the weight that most runs have.
[[nodiscard]] std::string plain_tables(const run_folder& folder);

}  // namespace specialise
