// SPDX-License-Identifier: BSD-3-Clause
// The pictures of the report as SVG elements.
#pragma once

#include "summary.hpp"

#include <string>
#include <vector>

namespace specialise {

/// Validation bits per byte by step: the mean of each group, and its standard deviation over seeds as a band.
[[nodiscard]] std::string validation_curves(const std::vector<group>& groups);

/// The paired difference to `reference` by step with its 95 % interval as a band; "" if no group shares a seed with it.
[[nodiscard]] std::string difference_curves(const std::vector<group>& groups, const group& reference);

/// A figure by pool: each seed a dot, mean and 95 % interval a bar. Several figures side by side.
struct panel {
  std::string title;
  figure what;
  int digits = 3;
};
[[nodiscard]] std::string by_pool(const std::vector<group>& groups, const std::vector<panel>& panels);

/// Domain x expert of every layer of a run: the share of the domain's assignments that the expert gets. Experts stand in the order of
/// the domain that uses them most. `most` is the share of the full colour.
[[nodiscard]] std::string expert_maps(const logged_run& run, double most);

/// The largest share in any layer of the run's last validation.
[[nodiscard]] double largest_share(const logged_run& run);

}  // namespace specialise
