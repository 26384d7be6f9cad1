// SPDX-License-Identifier: BSD-3-Clause
// Times passes between two measurements of the machine's limits, and reports what share of the limit they reach.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>

#include "machine/limits.hpp"

namespace headgate_bench {

/// Of all passes of one timed loop.
struct work_done {
  double passes = 0, flops = 0, bytes = 0;
};

/// pass(i) runs pass i, work(passes) tells what that many passes did.
///
///   roofline = max(flops / peak, bytes / read rate) / time
///
/// peak and read rate are each the better one of what the machine reached right before and right after: whoever else uses
/// it can make a limit look lower than it is, never higher.
template <class Pass, class Work>
void measure(benchmark::State& state, hg::index threads, memory_level level, hg::index tokens, const Pass& pass,
             const Work& work) {
  const limits before = limits_now(level, threads);
  hg::index passes = 0;
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) pass(passes++);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const limits after = limits_now(level, threads);
  const double peak = std::max(before.peak, after.peak);
  const double read = std::max(before.read, after.read);

  const work_done done = work(passes);
  auto& counters = state.counters;
  counters["ms"] = 1e3 * seconds / done.passes;
  counters["tokens/s"] = done.passes * static_cast<double>(tokens) / seconds;
  counters["GFLOP/s"] = done.flops / seconds * 1e-9;
  counters["GB/s"] = done.bytes / seconds * 1e-9;
  counters["roofline"] = std::max(done.flops / peak, done.bytes / read) / seconds;
  counters["peak_GFLOP/s"] = peak * 1e-9;
  counters["read_GB/s"] = read * 1e-9;
  counters["memory/peak"] = done.bytes / read / (done.flops / peak);  // above one: memory is the limit
  state.SetLabel(name_of(level));
}

}  // namespace headgate_bench
