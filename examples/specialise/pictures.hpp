// SPDX-License-Identifier: BSD-3-Clause
// Curves and intervals of the report as SVG elements.
#pragma once

#include "summary.hpp"

#include <functional>
#include <string>
#include <vector>

namespace specialise {

/// Validation bits per byte by step: the mean of each group, and its standard deviation over seeds as a band.
[[nodiscard]] std::string validation_curves(const std::vector<group>& groups);

/// The paired difference to `reference` by step with its 95 % interval as a band; "" if no group shares a seed with it.
[[nodiscard]] std::string difference_curves(const std::vector<group>& groups, const group& reference);

/// Values of a group's seeds, by pool: each seed a dot, mean and 95 % interval a bar. Several side by side.
struct panel {
  std::string title;
  std::function<std::vector<seed_value>(const group&)> values;  // none: only the group's name
  int digits = 3;
  bool around_zero = false;  // differences
};

/// A panel of the figure itself, and one of its differences to the global pool.
[[nodiscard]] panel panel_of(const named_figure& what);
[[nodiscard]] panel panel_against_global(const std::vector<group>& groups, const named_figure& what);

/// `with_weights`: names and colours are of pools, the weight stands below.
[[nodiscard]] std::string by_pool(const std::vector<group>& groups, const std::vector<panel>& panels,
                                  bool with_weights = false);

}  // namespace specialise
