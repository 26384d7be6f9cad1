// SPDX-License-Identifier: BSD-3-Clause
// The tables of the report as HTML. Names of pools and domains are taken as they are.
#pragma once

#include "summary.hpp"

#include <string>
#include <vector>

namespace specialise {

/// Headline: each pool, its difference in bits per byte to the global one with a verdict, and how its experts are used.
/// `with_weights`: the weight of the balance loss before it.
[[nodiscard]] std::string pool_table(const std::vector<group>& groups, bool with_weights = false);

/// Paired differences to the global pool with their intervals and verdicts; "" if there are none.
[[nodiscard]] std::string difference_table(const std::vector<group>& groups);

/// Bits per byte by domain.
[[nodiscard]] std::string domain_table(const std::vector<group>& groups, const std::vector<std::string>& domains);

[[nodiscard]] std::string layer_table(const std::vector<group>& groups);

/// Pools that ran on more than one number of ranks, against one rank; "" if there are none.
[[nodiscard]] std::string rank_table(const std::vector<group>& groups);

[[nodiscard]] std::string settings_table(const run_folder& folder);

/// What the tables need beside the page's own style.
[[nodiscard]] std::string table_style();

}  // namespace specialise
