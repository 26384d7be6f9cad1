// SPDX-License-Identifier: BSD-3-Clause
// The measurements of one or more runs, read from Google Benchmark's JSON.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace headgate_report {

/// What the repetitions of one benchmark gave.
struct samples {
  std::vector<double> ms, roofline;
  std::map<std::string, std::vector<double>> counters;
  std::string label, error;

  [[nodiscard]] double counter(const std::string& name) const;  ///< median, 0 if there is none
};

[[nodiscard]] double median(std::vector<double> values);
/// Standard deviation divided by mean.
[[nodiscard]] double variation(const std::vector<double>& values);

/// "layer/olmoe/T:8/threads:1/routing:one/headgate" in parts.
struct benchmark_name {
  std::string kind, shape, routing, who;
  int tokens = 0, threads = 0;

  auto operator<=>(const benchmark_name&) const = default;
};
/// Throws nothing: a name that is not of this form has an empty `shape`.
[[nodiscard]] benchmark_name parse_name(const std::string& name);

struct results {
  std::map<std::string, std::string> context;
  std::vector<std::string> order;  ///< names as they first came
  std::map<std::string, samples> all;

  /// Adds a file. Its context counts if it is the first. Throws with the file's name if it cannot be read.
  void add(const std::string& file);

  [[nodiscard]] const samples* find(const benchmark_name& name) const;
  /// Of one kind: shapes as they first came, then by tokens, threads, routing.
  [[nodiscard]] std::vector<benchmark_name> names_of(const std::string& kind) const;

  /// Median share of the limit. A run that did not measure limits (PyTorch's) is held against the one of `eigen`.
  [[nodiscard]] double share(const benchmark_name& name) const;
  /// Lowest and highest share among the repetitions.
  [[nodiscard]] std::pair<double, double> share_range(const benchmark_name& name) const;
};

}  // namespace headgate_report
