// SPDX-License-Identifier: BSD-3-Clause
// Scales and grids of charts.
#pragma once

#include <string>

namespace drawing {

/// From values to pixels: low to from, high to to.
struct scale {
  double low = 0, high = 1, from = 0, to = 1;
  bool logarithmic = false;  // low above 0

  [[nodiscard]] double operator()(double value) const;
};

/// A line of the grid across a chart from x0 to x1 at the height y, with its name before it.
[[nodiscard]] std::string grid_row(double x0, double x1, double y, const std::string& name);

/// A line of the grid down a chart at x, from y0 to y1, with its name below it.
[[nodiscard]] std::string grid_column(double x, double y0, double y1, const std::string& name);

/// Rows at round numbers of a linear scale. `sign`: of differences.
[[nodiscard]] std::string value_grid(const scale& y, double x0, double x1, bool sign = false);

}  // namespace drawing
