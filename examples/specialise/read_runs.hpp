// SPDX-License-Identifier: BSD-3-Clause
// What the runs of a folder wrote down: OUT/<name>.jsonl, read back.
#pragma once

#include "records.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace specialise {

/// A finished run.
struct logged_run {
  std::string name;
  std::string pool;            // "micro", "4x", "global", "shuffled" ...
  std::int64_t pool_size = 0;  // in micro-batches
  std::uint64_t seed = 0;
  std::int64_t ranks = 1;
  double weight = 0;  // of the balance loss
  std::vector<std::string> domains;
  std::int64_t layers = 0, experts = 0, k = 0, steps = 0;
  nlohmann::ordered_json settings;             // all that the run said of itself but for the six above
  std::vector<validation_record> validations;  // by step, the last one of the last step
  // Unweighted balance loss of each layer, mean of the last tenth of the logged steps; 1 if even. Their difference is
  // experts x the sum over experts of the covariance of f and P over micro-batches: what a micro-batch loss asks for
  // experts that differ from one micro-batch to the next.
  std::vector<double> balance;        // f counted over the global batch
  std::vector<double> micro_balance;  // f counted over each micro-batch
  double tokens_per_second = 0;       // mean of the logged steps
  double seconds = 0;
  std::string weights_checksum;

  [[nodiscard]] const validation_record& last() const { return validations.back(); }
};

struct run_folder {
  std::vector<logged_run> runs;      // by weight, pool (micro, growing pools, global, then others), ranks and seed
  std::vector<std::string> skipped;  // a sentence for each file that is no such run, with the reason
};

/// Reads all *.jsonl of the folders. Left out, with a sentence: what is unfinished, damaged, diverged, there twice, or run
/// with other settings than most; runs may differ in pool, seed, ranks and weight. A line that a resumed run wrote again
/// replaces the first. Throws std::runtime_error if a folder cannot be read or holds no log at all.
[[nodiscard]] run_folder read_runs(const std::vector<std::filesystem::path>& folders);

/// One log, as the text of its file. Throws std::runtime_error with what is wrong with it, also where a figure that a log
/// repeats (bpb, information, largest_frequency) is not that of its bpb_by_domain and counts.
[[nodiscard]] logged_run parse_run(const std::string& text);

}  // namespace specialise
