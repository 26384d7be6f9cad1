// SPDX-License-Identifier: BSD-3-Clause
// What the demo shows while it runs: colours and a moving bar on a terminal, plain lines elsewhere.
#pragma once

#include "runs.hpp"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace demo {

/// One run's line: a bar with loss, accuracy and seconds left that is redrawn in place, or a plain line at every tenth
/// of the epochs.
class progress {
 public:
  progress(std::string name, index epochs) : name_(std::move(name)), epochs_(epochs) {}

  void show(index epoch, const epoch_record& means);

 private:
  using clock = std::chrono::steady_clock;

  std::string name_;
  index epochs_;
  clock::time_point start_ = clock::now();
  clock::time_point drawn_{};
};

/// Test accuracy, parameters and speed of each run.
void print_table(const std::vector<run_record>& runs, const char* accuracy_of);

/// Which share of a digit's assignments each expert gets.
void print_specialisation(const run_record& mixture);

}  // namespace demo
