// SPDX-License-Identifier: BSD-3-Clause
// The program around the runs, whatever the ranks are.
#pragma once

#include "settings.hpp"
#include "training.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace specialise {

struct options {
  settings how;  // of every run, but for seed and pool
  std::string data = SPECIALISE_SAMPLE;
  std::vector<std::string> outs{"specialise-runs"};  // more than one only to report
  std::string seeds = "1-2";
  std::vector<std::string> pools{"micro", "4", "16", "global", "shuffled"};
  index ranks = 1;
  bool names_ranks = false;  // --ranks is given
  bool only_report = false;
  bool ends_at_failure = false;  // processes: one that fails leaves the others in the middle of an operation

  [[nodiscard]] const std::string& out() const { return outs.front(); }
};

/// Nothing if help was asked for, which is then printed. Every fault is a std::exception of one sentence.
[[nodiscard]] std::optional<options> parse_options(int count, const char* const* arguments);

/// Trains every seed on every pool by `train_one(settings, text, watcher)` and writes the report. Only the rank that leads
/// prints and writes it. A run that fails does not keep those behind it from theirs; at the end a std::runtime_error names it.
void run_program(const options& chosen, bool leads,
                 const std::function<void(const settings&, const text&, const watcher&)>& train_one);

}  // namespace specialise
