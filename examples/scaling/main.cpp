// SPDX-License-Identifier: BSD-3-Clause
// Expert parallelism on many nodes, on paper and by simulation (docs/scaling.md).
#include "measure.hpp"
#include "options.hpp"
#include "report.hpp"

#include <command_line/parsed.hpp>

#include <cstdio>

namespace scaling {

namespace {

bool run(const setting& s) {
  agreement seen;
  if (s.measure > 0) {
    const setting of_ranks = measured_setting(s, s.measure);
    print_measured(of_ranks, measure_on_threads(of_ranks, s.measure), seen);
    seen.print("figures agree with the routing's and the closed form's");
    return seen.good() || !s.check;
  }
  std::printf("%td experts, %td for a token, width %td, hidden %td; %td tokens simulated, seed %llu\n", s.experts, s.k,
              s.model, s.hidden, s.draws, static_cast<unsigned long long>(s.seed));
  routings drawn(s);
  print_rows(s, drawn, seen);
  print_bytes(s);
  print_messages(s, drawn, seen);
  print_limits(s, drawn, seen);
  print_skew(s, drawn, seen);
  print_times(s, seen);
  print_memory(s);
  seen.print("figures agree with the paper's");
  if (!s.pictures.empty()) write_pictures(s, drawn);
  return seen.good() || !s.check;
}

}  // namespace

}  // namespace scaling

int main(int count, char** arguments) {
  return command_line::status_of("headgate_scaling", [&] {
    const auto chosen = scaling::parse_options(count, arguments);
    return !chosen || scaling::run(*chosen) ? 0 : 1;
  });
}
