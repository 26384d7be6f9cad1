// SPDX-License-Identifier: BSD-3-Clause
// A run from its first step, or from its last checkpoint, to its last line in the log.
#pragma once

#include "domains.hpp"
#include "records.hpp"
#include "settings.hpp"

#include <filesystem>
#include <functional>
#include <string>

namespace specialise {

/// What is known after a step.
struct run_view {
  index step = 0;
  index steps = 0;
  const step_record* last = nullptr;              // null before the first that is logged
  const validation_record* validation = nullptr;  // null before the first
  double bytes_per_second = 0;                    // since the last step that was logged
  double gradient_norm = 0;                       // of this step, before it was clipped
};

/// Called by rank 0.
struct watcher {
  std::function<void(const run_view&)> step = [](const run_view&) {};             // after each
  std::function<void(index step, index steps)> validation = [](index, index) {};  // before each
  std::function<void(const std::string&)> note = [](const std::string&) {};       // a sentence about how the run begins
};

/// OUT/<name>.jsonl and OUT/<name>.checkpoint.
[[nodiscard]] std::filesystem::path log_path(const std::filesystem::path& out, const std::string& name);
[[nodiscard]] std::filesystem::path checkpoint_path(const std::filesystem::path& out, const std::string& name);

/// Trains, or does the rest of it: from the last checkpoint that is whole, on the same bits as if nothing had happened. With
/// several ranks they are threads. A run that is done is left alone. Refuses a log or checkpoint of a run with other
/// settings or other text, a checkpoint whose log has become shorter, and a run that another program is at. What ends a
/// run early also ends its log, with the step.
void train(const settings& how, const text& data, const std::filesystem::path& out, index ranks, const watcher& watch);

}  // namespace specialise
