// SPDX-License-Identifier: BSD-3-Clause
// The three pictures of the report as SVG elements.
#pragma once

#include "runs.hpp"

#include <string>
#include <vector>

namespace demo::svg {

/// Training loss by epoch on a logarithmic axis, a line for each run.
[[nodiscard]] std::string loss_curves(const std::vector<run_record>& runs);

/// Share of the assignments by epoch, a band for each expert.
[[nodiscard]] std::string expert_load(const run_record& mixture);

/// Digit x expert: the share of the digit's assignments that the expert gets. `standalone` brings its own style and
/// background.
[[nodiscard]] std::string heat_map(const run_record& mixture, bool standalone = false);

}  // namespace demo::svg
