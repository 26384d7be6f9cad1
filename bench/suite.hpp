// SPDX-License-Identifier: BSD-3-Clause
// The benchmarks that run in groups: what is compared with each other is measured together, in turns.
#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <vector>

namespace headgate_bench {

/// The short set takes minutes, the full one an hour or more.
enum class run_set { short_set, full_set };

struct entry {
  std::string name;
  std::function<void(benchmark::State&)> run;
  bool in_short_set = true;
};

/// Entries whose repetitions are shuffled among each other, so that a machine that drifts favours none of them.
struct group {
  std::vector<entry> entries;
  int repetitions = 5;
};

/// Repetitions for passes of so many operations: passes of a second are long enough to be steady.
[[nodiscard]] inline int repetitions_for(double flops) { return flops > 2e10 ? 3 : 5; }

// What the sources of this folder contribute, in the order of a run.
void add_machine(std::vector<group>& groups);
void add_layers(std::vector<group>& groups);
void add_training(std::vector<group>& groups);

}  // namespace headgate_bench
