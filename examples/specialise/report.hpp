// SPDX-License-Identifier: BSD-3-Clause
// The report of a folder of runs: one HTML file with its pictures inside.
#pragma once

#include "read_runs.hpp"

#include <filesystem>
#include <string>

namespace specialise {

/// Headline table, validation curves, figures by pool and by domain, the experts of one run of each pool, ranks, settings. Light or dark
/// as the reader's browser is; needs no network. A folder without a finished run gives a page that says so.
[[nodiscard]] std::string report_page(const run_folder& folder);

/// Reads the runs of `folder`, writes `folder`/report.html and returns the tables for a terminal.
/// Throws std::runtime_error if the folder cannot be read or the page cannot be written.
std::string write_report(const std::filesystem::path& folder);

}  // namespace specialise
