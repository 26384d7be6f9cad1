// SPDX-License-Identifier: BSD-3-Clause
// The report of folders of runs: one HTML file with its pictures inside.
#pragma once

#include "read_runs.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace specialise {

/// Headline table, differences to global, figures by pool, the experts of one run of each pool, layers, domains, curves,
/// weights, ranks, settings. Light or dark as the reader's browser is; needs no network. Without a finished run, a page
/// that says so.
[[nodiscard]] std::string report_page(const run_folder& folder);

/// Reads the runs of all folders, writes report.html into the first and returns the tables for a terminal.
/// Throws std::runtime_error if a folder cannot be read or the page cannot be written.
std::string write_report(const std::vector<std::filesystem::path>& folders);

}  // namespace specialise
