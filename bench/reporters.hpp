// SPDX-License-Identifier: BSD-3-Clause
// Where results go: a line for each benchmark while the run lasts, and all of them to a JSON file.
#pragma once

#include <benchmark/benchmark.h>

#include <fstream>
#include <memory>
#include <string>

namespace headgate_bench {

/// One line for each benchmark: median, spread, share of the limit.
class line_reporter : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;
};

/// Makes one report of many runs of groups: the context once, the end when this object ends.
class joint_reporter : public benchmark::BenchmarkReporter {
 public:
  /// `json` may be empty: no file. Throws if it cannot be written.
  joint_reporter(std::unique_ptr<BenchmarkReporter> display, const std::string& json);
  ~joint_reporter() override;

  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;

 private:
  std::unique_ptr<BenchmarkReporter> display_;
  std::ofstream file_;
  std::unique_ptr<benchmark::JSONReporter> json_;
  bool begun_ = false;
};

}  // namespace headgate_bench
