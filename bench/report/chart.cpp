// SPDX-License-Identifier: BSD-3-Clause
#include "report/chart.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace headgate_report {

namespace {

constexpr double width = 520, height = 300;
constexpr double left = 44, right = 14, top = 44, bottom = 50;

template <class... Numbers>
std::string format(const char* pattern, Numbers... numbers) {
  char text[512];
  std::snprintf(text, sizeof text, pattern, numbers...);
  return text;
}

/// The mark of a line, which tells it from others without its colour.
std::string mark(const std::string& who, double x, double y) {
  if (who == "eigen") return format("<rect class='mark' x='%.1f' y='%.1f' width='7' height='7'/>", x - 3.5, y - 3.5);
  if (who == "openblas") return format("<path class='mark' d='M%.1f %.1fl4.6 8h-9.2z'/>", x, y - 5);
  if (who == "onednn") return format("<path class='mark' d='M%.1f %.1fl4.8 4.8l-4.8 4.8l-4.8 -4.8z'/>", x, y - 4.8);
  if (who.rfind("pytorch", 0) == 0)
    return format("<path class='mark open' d='M%.1f %.1fl7 7m0 -7l-7 7'/>", x - 3.5, y - 3.5);
  return format("<circle class='mark' cx='%.1f' cy='%.1f' r='%.1f'/>", x, y, who == "headgate" ? 4.5 : 3.5);
}

/// A little more than everything; what noise puts above it is drawn at the edge.
constexpr double top_share = 1.08;

struct axes {
  double first, last;

  [[nodiscard]] double x(double tokens) const {
    const double span = std::log2(last / first);
    const double inner = width - left - right - 24;
    return left + 12 + (span > 0 ? inner * std::log2(tokens / first) / span : inner / 2);
  }
  [[nodiscard]] static double y(double share) {
    return height - bottom - (height - top - bottom) * std::min(share, top_share) / top_share;
  }
};

std::string grid(const axes& a, const std::vector<bound>& bounds) {
  std::string svg;
  for (double share = 0; share <= top_share; share += 0.25) {
    svg += format("<line class='%s' x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f'/>", share == 1 ? "limit" : "grid", left,
                  width - right, a.y(share), a.y(share));
    svg += format("<text class='tick' x='%.1f' y='%.1f' text-anchor='end'>%.0f %%</text>", left - 6, a.y(share) + 4,
                  100 * share);
  }
  for (const bound& one : bounds) {
    svg += format("<text class='tick' x='%.1f' y='%.1f' text-anchor='middle'>%.0f</text>", a.x(one.tokens),
                  height - bottom + 16, one.tokens);
    svg +=
        format("<text class='bound' x='%.1f' y='%.1f' text-anchor='middle'>", a.x(one.tokens), height - bottom + 30) +
        escape(one.by) + "</text>";
  }
  return svg + format("<text class='bound' x='%.1f' y='%.1f' text-anchor='middle'>tokens, and what limits them</text>",
                      (left + width - right) / 2, height - 5);
}

std::string draw_line(const axes& a, const line& one) {
  std::string svg = "<g class='line " + escape(one.who) + "'>";
  std::string path;
  for (const point& p : one.points)
    path += format("%s%.1f %.1f", path.empty() ? "M" : "L", a.x(p.tokens), a.y(p.share));
  svg += "<path class='stroke' d='" + path + "'/>";
  for (const point& p : one.points) {
    svg += format("<path class='spread' d='M%.1f %.1fV%.1f'/>", a.x(p.tokens), a.y(p.low), a.y(p.high));
    svg += "<g>" + mark(one.who, a.x(p.tokens), a.y(p.share)) + "<title>" + escape(p.tooltip) + "</title></g>";
  }
  return svg + "</g>";
}

}  // namespace

std::string escape(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '<')
      safe += "&lt;";
    else if (c == '>')
      safe += "&gt;";
    else if (c == '&')
      safe += "&amp;";
    else if (c == '\'')
      safe += "&#39;";
    else if (c == '"')
      safe += "&quot;";
    else
      safe += c;
  }
  return safe;
}

std::string draw_chart(const std::string& title, const std::string& subtitle, const std::vector<line>& lines,
                       const std::vector<bound>& bounds) {
  const axes a{bounds.front().tokens, bounds.back().tokens};
  std::string svg = format("<svg viewBox='0 0 %.0f %.0f' role='img'><title>", width, height) + escape(title) +
                    ": share of the limit against tokens</title>";
  svg += format("<text class='title' x='%.1f' y='18'>", left) + escape(title) + "</text>";
  svg += format("<text class='bound' x='%.1f' y='33'>", left) + escape(subtitle) + "</text>";
  svg += grid(a, bounds);
  for (auto one = lines.rbegin(); one != lines.rend(); ++one) svg += draw_line(a, *one);  // the first on top
  return svg + "</svg>";
}

std::string draw_key(const std::string& who) {
  return "<svg class='key' viewBox='0 0 30 14'><g class='line " + escape(who) + "'><path class='stroke' d='M2 7H28'/>" +
         mark(who, 15, 7) + "</g></svg>";
}

}  // namespace headgate_report
