// SPDX-License-Identifier: BSD-3-Clause
// What this machine can do, measured by this program on its own threads: multiply-adds from registers, and reading from
// memory and caches.
#pragma once

#include <headgate/config.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include <string>

namespace headgate_bench {

namespace hg = headgate;

/// The nearest level of memory that holds something.
enum class memory_level { l2, l3, dram };

[[nodiscard]] const char* name_of(memory_level level);

/// Bytes. l2 is one core's; l3 is the last level whatever its number.
struct cache_sizes {
  double l2, l3;
};
[[nodiscard]] cache_sizes caches();

/// Where `bytes` that are read again and again stay.
[[nodiscard]] memory_level level_of(double bytes);

/// The pool of so many threads that all benchmarks share.
[[nodiscard]] const hg::thread_pool& pool_of(hg::index threads);

/// FP32 operations per second of fused multiply-adds on registers, all threads together, in the threads' own processor
/// time. Median of five tries that take `seconds` together.
[[nodiscard]] double measure_peak(hg::index threads, double seconds);

/// Bytes per second, every thread reading a part of its own. The way of reading (streams, prefetch distance) is the one
/// that was fastest when this level was measured first. Median of five tries that take `seconds` together.
[[nodiscard]] double measure_read(memory_level level, hg::index threads, double seconds);

/// How the fastest reading was done: "8 streams, prefetch 2048".
[[nodiscard]] std::string way_of_reading(memory_level level, hg::index threads);

struct limits {
  double peak;  // FLOP/s
  double read;  // bytes/s of one level
};

/// Both limits as they are at this moment; 0.1 s old ones will do, so that one measurement serves the end of a benchmark
/// and the beginning of the next.
[[nodiscard]] limits limits_now(memory_level level, hg::index threads);

}  // namespace headgate_bench
