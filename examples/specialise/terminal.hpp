// SPDX-License-Identifier: BSD-3-Clause
// What the program shows while it trains: a moving bar on a terminal, plain lines elsewhere.
#pragma once

#include "training.hpp"

#include <chrono>
#include <string>
#include <utility>

namespace specialise {

/// One run's line, which begins with the title.
class progress {
 public:
  explicit progress(std::string name) : name_(std::move(name)) {}

  void show(const run_view& now);
  void validates(index step, index steps) const;
  void note(const std::string& sentence) const;

 private:
  using clock = std::chrono::steady_clock;

  std::string name_;
  index first_ = 0;  // the step before the first that this program made
  clock::time_point start_ = clock::now();
  clock::time_point drawn_{};
};

}  // namespace specialise
