// SPDX-License-Identifier: BSD-3-Clause
#include "chart.hpp"

#include "svg.hpp"

#include <algorithm>
#include <cmath>

namespace drawing {

double scale::operator()(double value) const {
  if (logarithmic) return from + (to - from) * std::log(value / low) / std::log(high / low);
  return from + (to - from) * (value - low) / (high - low);
}

std::string grid_row(double x0, double x1, double y, const std::string& name) {
  return text("<line x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>\n", x0, x1, y, y) +
         label(x0 - 8, y + 4, "tick end", name);
}

std::string grid_column(double x, double y0, double y1, const std::string& name) {
  return text("<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%g\" y2=\"%g\" class=\"grid\"/>\n", x, x, y0, y1) +
         label(x, y1 + 18, "tick middle", name);
}

std::string value_grid(const scale& y, double x0, double x1, bool sign) {
  const double step = round_step(1.7 * (y.high - y.low));  // five to eight lines
  const int digits = static_cast<int>((std::max)(0.0, -std::floor(std::log10(step) + 1e-9)));
  std::string s;
  for (double at = std::ceil(y.low / step - 1e-9); at * step <= y.high + 1e-9 * step; ++at) {
    const double value = at == 0 ? 0 : at * step;
    s += grid_row(x0, x1, y(value), text(sign && value != 0 ? "%+.*f" : "%.*f", digits, value));
  }
  return s;
}

}  // namespace drawing
