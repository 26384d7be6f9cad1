// SPDX-License-Identifier: BSD-3-Clause
// The report: one HTML file with its pictures inside, and the heat map as a file of its own.
#pragma once

#include "runs.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace demo {

struct report_facts {
  settings how;
  std::string judged_on;  // "test" or "validation"
  index training_digits = 0;
  index held_out_digits = 0;
  double seconds = 0;
};

/// Table, loss curves, expert load over time and the heat map. Light or dark as the reader's browser is; needs no
/// network. The first run is the mixture. Throws std::runtime_error if the file cannot be written.
void write_report(const std::filesystem::path& path, const std::vector<run_record>& runs, const report_facts& facts);

/// The heat map alone, as an SVG.
void write_image(const std::filesystem::path& path, const run_record& mixture);

}  // namespace demo
