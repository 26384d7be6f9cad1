// SPDX-License-Identifier: BSD-3-Clause
#include "reporters.hpp"

#include <cstdio>
#include <map>
#include <stdexcept>

namespace headgate_bench {

namespace {

using run = benchmark::BenchmarkReporter::Run;

double counter_of(const run& r, const std::string& name) {
  const auto found = r.counters.find(name);
  return found == r.counters.end() ? 0 : found->second.value;
}

void print_line(const run& middle, const run* spread) {
  std::printf("%-52s %11.4f %s", middle.run_name.str().c_str(), middle.GetAdjustedRealTime(),
              benchmark::GetTimeUnitString(middle.time_unit));
  if (spread) std::printf("  +-%4.1f %%", 100 * spread->real_accumulated_time);
  if (const double share = counter_of(middle, "roofline"); share > 0)
    std::printf("  roofline %.2f (%s)", share,
                counter_of(middle, "memory/peak") > 1 ? middle.report_label.c_str() : "peak");
  else
    for (const auto& [name, value] : middle.counters) std::printf("  %.3g %s", value.value, name.c_str());
  // Only the calling thread's processor time is known, which is that of the pass if there is one thread.
  const double running = middle.cpu_accumulated_time / middle.real_accumulated_time;
  if (running < 0.95 && middle.run_name.str().find("/threads:1/") != std::string::npos)
    std::printf("  disturbed: ran %.0f %% of the time", 100 * running);
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

bool line_reporter::ReportContext(const Context&) { return true; }

void line_reporter::ReportRuns(const std::vector<Run>& runs) {
  const Run* middle = nullptr;
  const Run* spread = nullptr;
  for (const Run& one : runs) {
    if (one.error_occurred) {
      std::printf("%-52s FAILED: %s\n", one.benchmark_name().c_str(), one.error_message.c_str());
      return;
    }
    if (one.run_type == Run::RT_Iteration && one.repetitions <= 1) middle = &one;
    if (one.aggregate_name == "median") middle = &one;
    if (one.aggregate_name == "cv") spread = &one;
  }
  if (middle) print_line(*middle, spread);
}

joint_reporter::joint_reporter(std::unique_ptr<BenchmarkReporter> display, const std::string& json)
    : display_(std::move(display)) {
  if (json.empty()) return;
  file_.open(json);
  if (!file_) throw std::runtime_error("headgate_bench: cannot write " + json);
  json_ = std::make_unique<benchmark::JSONReporter>();
  json_->SetOutputStream(&file_);
}

joint_reporter::~joint_reporter() {
  if (!begun_) return;
  display_->Finalize();
  if (json_) json_->Finalize();
}

bool joint_reporter::ReportContext(const Context& context) {
  if (begun_) return true;
  begun_ = true;
  Context wide = context;
  wide.name_field_width = std::max<std::size_t>(wide.name_field_width, 56);
  return display_->ReportContext(wide) && (!json_ || json_->ReportContext(context));
}

void joint_reporter::ReportRuns(const std::vector<Run>& runs) {
  display_->ReportRuns(runs);
  if (json_) json_->ReportRuns(runs);
  file_.flush();
}

}  // namespace headgate_bench
