// SPDX-License-Identifier: BSD-3-Clause
// Runs by pool and ranks, compared with the global pool and with one rank.
#pragma once

#include "read_runs.hpp"
#include "statistics.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace specialise {

/// The runs of one pool on one number of ranks, by seed.
struct group {
  std::string pool;
  std::int64_t ranks = 1;
  std::vector<const logged_run*> runs;
};

/// A figure of a finished run.
using figure = std::function<double(const logged_run&)>;

[[nodiscard]] double bits_per_byte(const logged_run& run);
[[nodiscard]] double information(const logged_run& run);        // mean of the layers
[[nodiscard]] double largest_frequency(const logged_run& run);  // of all layers
[[nodiscard]] double balance(const logged_run& run);

/// In the order of the runs. The groups point into `runs`.
[[nodiscard]] std::vector<group> groups_of(const std::vector<logged_run>& runs);

/// The group of that pool and so many ranks; null if there is none.
[[nodiscard]] const group* find_group(const std::vector<group>& groups, const std::string& pool, std::int64_t ranks);

[[nodiscard]] estimate estimate_of(const group& of, const figure& what);

/// Over the seeds that both have; nothing if there are none.
[[nodiscard]] std::optional<paired_difference> compare(const group& of, const group& from, const figure& what);

/// A number with its sign, or without one.
[[nodiscard]] std::string with_interval(const estimate& value, int digits, bool sign = false);

/// "0.0312 higher (95 % interval 0.0261 to 0.0363, 5 seeds, p = 0.0004)", with `unit` after the first number.
[[nodiscard]] std::string sentence_of(const paired_difference& difference, int digits, const std::string& unit = "");

/// The tables for a terminal: pools, pools against global, layers, ranks against one rank, and what was skipped.
[[nodiscard]] std::string plain_tables(const run_folder& folder);

}  // namespace specialise
