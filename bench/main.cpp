// SPDX-License-Identifier: BSD-3-Clause
// Runs the benchmarks group by group: headgate_bench [--set=short|full] [--out=bench.json] [Google Benchmark's options].
//
// Without --set: whatever the filter names, once each, as Google Benchmark does it. With --set: that set, repeated, the
// repetitions of a group shuffled among each other; the options that this stands for may be given to change it.
#include <cstdio>
#include <exception>
#include <fstream>
#include <memory>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

#include "context.hpp"
#include "reporters.hpp"
#include "suite.hpp"

namespace {

using namespace headgate_bench;

struct options {
  std::string set, out;
  std::vector<char*> rest;  // for Google Benchmark
};

options parse(int argc, char** argv) {
  static char shuffled[] = "--benchmark_enable_random_interleaving=true";
  static char min_time[] = "--benchmark_min_time=0.05";
  options o;
  std::vector<char*> given;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.rfind("--set=", 0) == 0)
      o.set = argument.substr(6);
    else if (argument.rfind("--out=", 0) == 0)
      o.out = argument.substr(6);
    else
      given.push_back(argv[i]);
  }
  if (o.set != "" && o.set != "short" && o.set != "full")
    throw std::runtime_error("headgate_bench: --set is " + o.set + ", it must be short or full");
  o.rest = {argv[0]};
  if (o.set != "") o.rest.insert(o.rest.end(), {shuffled, min_time});
  o.rest.insert(o.rest.end(), given.begin(), given.end());
  return o;
}

void print_help() {
  std::printf(
      "headgate_bench [--set=short|full] [--out=<file>.json] [options of Google Benchmark]\n"
      "  --set   layers, training, routing and machine limits, repeated: short takes minutes, full an hour or more\n"
      "  --out   writes what headgate_bench_report draws\n"
      "Google Benchmark's: --benchmark_filter=<regex> --benchmark_list_tests --benchmark_repetitions=<n> "
      "--benchmark_min_time=<s>\n");
}

/// As Google Benchmark reads a filter: a regular expression, a leading '-' turns it round.
bool matches(const std::string& name, const std::string& filter) {
  const bool turned = !filter.empty() && filter[0] == '-';
  return std::regex_search(name, std::regex(turned ? filter.substr(1) : filter)) != turned;
}

/// Unless the command line says how many. Through the flag, because `Repetitions` would add them to every name.
void set_repetitions(int count, const options& o) {
  std::string flag = "--benchmark_repetitions=" + std::to_string(count);
  std::vector<char*> arguments{o.rest.front(), flag.data()};
  for (char* const given : o.rest)
    if (std::string(given).rfind("--benchmark_repetitions", 0) == 0) arguments.push_back(given);
  int n = static_cast<int>(arguments.size());
  benchmark::Initialize(&n, arguments.data());
}

/// What registered itself: kernels, and in a set only routing. Nothing is said if the filter names none of them. Returns how
/// many it names.
std::size_t run_registered(joint_reporter& to, const std::string& filter, const options& o) {
  static std::ofstream nowhere;
  to.SetErrorStream(&nowhere);
  std::size_t count = 0;
  if (o.set == "") {
    count = benchmark::RunSpecifiedBenchmarks(&to, filter);
  } else if (filter == "." || filter.find("route") != std::string::npos) {
    set_repetitions(5, o);
    count = benchmark::RunSpecifiedBenchmarks(&to, filter == "." ? "^route/" : filter);
  }
  benchmark::ClearRegisteredBenchmarks();
  return count;
}

/// Returns how many benchmarks of the group the filter names.
std::size_t run_group(joint_reporter& to, const group& all, const std::string& filter, const options& o) {
  std::size_t count = 0;
  for (const entry& one : all.entries) {
    if ((o.set == "short" && !one.in_short_set) || !matches(one.name, filter)) continue;
    benchmark::RegisterBenchmark(one.name.c_str(), one.run)->Unit(benchmark::kMillisecond);
    ++count;
  }
  if (count == 0) return 0;
  if (o.set != "") set_repetitions(all.repetitions, o);
  benchmark::RunSpecifiedBenchmarks(&to, ".");
  benchmark::ClearRegisteredBenchmarks();
  return count;
}

void run(int argc, char** argv) {
  options o = parse(argc, argv);
  int argument_count = static_cast<int>(o.rest.size());
  benchmark::Initialize(&argument_count, o.rest.data(), print_help);
  if (benchmark::ReportUnrecognizedArguments(argument_count, o.rest.data()))
    throw std::runtime_error("headgate_bench: see --help");
  describe_build();
  if (o.set != "" || o.out != "") describe_limits();

  std::unique_ptr<benchmark::BenchmarkReporter> display;
  if (o.set == "")
    display = std::make_unique<benchmark::ConsoleReporter>(benchmark::ConsoleReporter::OO_Tabular);
  else
    display = std::make_unique<line_reporter>();
  joint_reporter to(std::move(display), o.out);
  const std::string given = benchmark::GetBenchmarkFilter();
  const std::string filter = given.empty() || given == "all" ? std::string(1, '.') : given;

  std::vector<group> groups;
  add_machine(groups);
  add_layers(groups);
  add_training(groups);
  std::size_t count = run_registered(to, filter, o);
  for (const group& one : groups) count += run_group(to, one, filter, o);
  if (count == 0) throw std::runtime_error("headgate_bench: no benchmark's name matches " + filter);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc, argv);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "%s\n", problem.what());
    return 1;
  }
}
