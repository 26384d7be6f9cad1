// SPDX-License-Identifier: BSD-3-Clause
// The tables of the page. Each is empty if the run has nothing for it.
#pragma once

#include <string>

#include "report/results.hpp"

namespace headgate_report {

/// Ours first, then libraries by hand, then PyTorch.
[[nodiscard]] int place_of(const std::string& who);
/// Its name for readers: "Headgate bf16", "Eigen by hand".
[[nodiscard]] std::string title_of(const std::string& who);

[[nodiscard]] std::string main_table(const results& r);
[[nodiscard]] std::string threads_table(const results& r);
[[nodiscard]] std::string storage_table(const results& r);
[[nodiscard]] std::string routing_table(const results& r);
[[nodiscard]] std::string cost_table(const results& r);
[[nodiscard]] std::string limits_table(const results& r);
[[nodiscard]] std::string context_table(const results& r);

}  // namespace headgate_report
