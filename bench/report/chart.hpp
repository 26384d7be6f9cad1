// SPDX-License-Identifier: BSD-3-Clause
// One panel of the roofline picture as inline SVG.
#pragma once

#include <string>
#include <vector>

namespace headgate_report {

struct point {
  double tokens, share, low, high;
  std::string tooltip;
};
struct line {
  std::string who;  ///< a class of the style sheet, and an entry of the legend
  std::vector<point> points;
};
/// What bounds the time at this number of tokens: "dram", "L3", "L2", "peak".
struct bound {
  double tokens;
  std::string by;
};

/// Share of the limit (0 to 100 %) against tokens (logarithmic), a bar for the spread of each point.
[[nodiscard]] std::string draw_chart(const std::string& title, const std::string& subtitle,
                                     const std::vector<line>& lines, const std::vector<bound>& bounds);

/// A sample of a line's colour and mark.
[[nodiscard]] std::string draw_key(const std::string& who);

[[nodiscard]] std::string escape(const std::string& text);

}  // namespace headgate_report
