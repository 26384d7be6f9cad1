// SPDX-License-Identifier: BSD-3-Clause
#include "context.hpp"

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "layers/products.hpp"
#include "layers/subject.hpp"

namespace headgate_bench {

namespace {

std::string rounded(double value, const char* unit) {
  char text[64];
  std::snprintf(text, sizeof text, "%.1f %s", value, unit);
  return text;
}

std::string first_value_of(const char* file, const std::string& key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);)
    if (line.rfind(key, 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown";
}

void add(const std::string& key, const std::string& value) { benchmark::AddCustomContext(key, value); }

void describe_limits_of(hg::index threads) {
  const std::string at = "machine.threads:" + std::to_string(threads) + ".";
  add(at + "peak", rounded(measure_peak(threads, 0.02) * 1e-9, "GFLOP/s"));
  for (const memory_level level : {memory_level::dram, memory_level::l3, memory_level::l2})
    add(at + "read_" + name_of(level),
        rounded(measure_read(level, threads, 0.05) * 1e-9, "GB/s") + ", " + way_of_reading(level, threads));
}

}  // namespace

void describe_build() {
#ifdef __VERSION__
#ifdef __clang__
  add("compiler", __VERSION__);
#else
  add("compiler", "g++ " __VERSION__);
#endif
#endif
  add("flags", HEADGATE_BENCH_FLAGS);
  add("instruction_set", std::string(xsimd::default_arch::name()) + ", vectors of " +
                             std::to_string(xsimd::batch<float>::size) + " floats");
  add("processor", first_value_of("/proc/cpuinfo", "model name"));
  add("cache_L2", rounded(caches().l2 / 1024, "KiB"));
  add("cache_last", rounded(caches().l3 / (1 << 20), "MiB"));
  add("eigen", std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) + "." +
                   std::to_string(EIGEN_MINOR_VERSION) + ", " + Eigen::SimdInstructionSetsInUse());
#if HEADGATE_BENCH_OPENBLAS
  add("openblas", openblas_products::version());
  for (const char* variable : {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"})
    if (const char* value = std::getenv(variable)) add(variable, value);
#else
  add("openblas", "not found");
#endif
#if HEADGATE_BENCH_ONEDNN
  add("onednn", onednn_products::version());
#else
  add("onednn", "not found");
#endif
}

void describe_limits() {
  for (const hg::index threads : {1, 2}) describe_limits_of(threads);
}

}  // namespace headgate_bench
