// SPDX-License-Identifier: BSD-3-Clause
// The machine's limits as benchmarks of their own: machine/peak, machine/read_dram, machine/read_L3, machine/read_L2.
#include "machine/limits.hpp"
#include "suite.hpp"

namespace headgate_bench {

void add_machine(std::vector<group>& groups) {
  group all;
  const auto add = [&](const std::string& what, hg::index threads, const char* unit, auto measure) {
    const std::string name = "machine/" + what + "/threads:" + std::to_string(threads);
    all.entries.push_back({name, [measure, unit](benchmark::State& state) {
                             double rate = 0;
                             for (auto _ : state) rate = measure();
                             state.counters[unit] = rate * 1e-9;
                           }});
  };
  for (const hg::index threads : {1, 2}) {
    add("peak", threads, "GFLOP/s", [threads] { return measure_peak(threads, 0.02); });
    for (const memory_level level : {memory_level::dram, memory_level::l3, memory_level::l2})
      add(std::string("read_") + name_of(level), threads, "GB/s", [=] { return measure_read(level, threads, 0.03); });
  }
  groups.push_back(std::move(all));
}

}  // namespace headgate_bench
