// SPDX-License-Identifier: BSD-3-Clause
// Whole runs, in folders and processes of their own.
#pragma once

#include "../run_log.hpp"
#include "../training.hpp"
#include "checks.hpp"

#include <filesystem>
#include <functional>
#include <string>

namespace specialise {

namespace fs = std::filesystem;

/// Of this process, removed with the object.
class folder {
 public:
  explicit folder(const char* name);
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  ~folder();
  operator const fs::path&() const { return path_; }

 private:
  fs::path path_;
};

/// The log without its timings, and without the lines about refused checkpoints.
[[nodiscard]] std::string comparable_log(const fs::path& path, index* refused = nullptr);

/// Trains in a process of its own, which `watch` may kill. True if it came to its end.
[[nodiscard]] bool train_in_child(const settings& how, const text& data, const fs::path& out, index ranks,
                                  const watcher& watch, double kill_after = 0);

[[nodiscard]] watcher killed_after(index step);

/// Requires that a log says what that of the undisturbed run says.
void same_end(const settings& how, const fs::path& log, const std::string& expected, const std::string& what);

/// What `refused` throws, "" for nothing.
[[nodiscard]] std::string sentence_of(const std::function<void()>& refused);

}  // namespace specialise
