// SPDX-License-Identifier: BSD-3-Clause
// The pictures of docs/scaling.md.
#include "report.hpp"

#include "table.hpp"

#include <headgate/core/error.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <string>
#include <utility>

namespace scaling {

namespace {

constexpr double width = 760, height = 400, left = 70, right = 30, top = 20, bottom = 52;  // pixels

struct line {
  std::string name;
  index hue;
  bool dashed;
  std::vector<std::pair<double, double>> points;
};

/// A range of one axis on a logarithmic scale, or from 0 on a linear one.
struct axis {
  double low, high;
  bool logarithmic;
  [[nodiscard]] double at(double value) const {
    return logarithmic ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  }
};

std::string chart(const std::string& title, const char* x_name, const char* y_name, axis x, axis y,
                  const std::vector<std::pair<double, std::string>>& x_ticks,
                  const std::vector<std::pair<double, std::string>>& y_ticks, const std::vector<line>& lines,
                  double key_x, double key_y) {
  constexpr std::array<const char*, 4> hues{"#4269d0", "#ff725c", "#3ca951", "#a463f2"};
  const auto x_of = [&](double v) { return left + (width - left - right) * x.at(v); };
  const auto y_of = [&](double v) { return height - bottom - (height - top - bottom) * y.at(v); };
  std::string s = text(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">\n"
      "<style>text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#24292f;"
      "font-size:13px}.grid{stroke:#d8dee4}.paper{fill:#fff}"
      "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#30363d}.paper{fill:#0d1117}}</style>\n"
      "<rect width=\"%g\" height=\"%g\" class=\"paper\"/>\n",
      width, height, title.c_str(), width, height);
  const auto label = [&](double at_x, double at_y, const char* anchor, const std::string& what, double turn = 0) {
    s += text("<text transform=\"translate(%.1f %.1f) rotate(%g)\" text-anchor=\"%s\">%s</text>\n", at_x, at_y, turn,
              anchor, what.c_str());
  };
  const auto straight = [&](double x1, double y1, double x2, double y2, const std::string& look) {
    s += text("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1, x2, y2, look.c_str());
  };
  for (const auto& [value, name] : x_ticks) {
    straight(x_of(value), top, x_of(value), height - bottom, "class=\"grid\"");
    label(x_of(value), height - bottom + 18, "middle", name);
  }
  for (const auto& [value, name] : y_ticks) {
    straight(left, y_of(value), width - right, y_of(value), "class=\"grid\"");
    label(left - 8, y_of(value) + 4, "end", name);
  }
  label((left + width - right) / 2, height - 10, "middle", x_name);
  label(18, (top + height - bottom) / 2, "middle", y_name, -90);
  for (const line& l : lines) {
    const std::string look = text("fill=\"none\" stroke-width=\"2.2\" stroke=\"%s\"%s",
                                  hues[static_cast<std::size_t>(l.hue)], l.dashed ? " stroke-dasharray=\"6 4\"" : "");
    s += "<polyline " + look + " points=\"";
    for (const auto& [px, py] : l.points) s += text("%.1f,%.1f ", x_of(px), y_of(py));
    s += "\"/>\n";
    straight(key_x, key_y - 4, key_x + 30, key_y - 4, look);
    label(key_x + 38, key_y, "start", l.name);
    key_y += 20;
  }
  return s + "</svg>\n";
}

void write(const std::string& path, const std::string& picture) {
  std::ofstream file(path);
  file << picture;
  if (!file.flush()) headgate::refuse(path, ": cannot be written");
}

std::string bytes_picture(const setting& s, routings& drawn) {
  std::vector<line> lines{{"no limit, a row back for each assignment", 0, false, {}},
                          {"no limit, a row back for each node", 0, true, {}},
                          {text("at most %td nodes, for each assignment", s.limit_nodes), 1, false, {}},
                          {text("at most %td nodes, for each node", s.limit_nodes), 1, true, {}}};
  std::vector<std::pair<double, std::string>> x_ticks, y_ticks;
  double highest = 0;
  for (const index nodes : s.nodes) {
    const double n = static_cast<double>(nodes);
    x_ticks.emplace_back(n, text("%td", nodes));
    const auto add = [&](std::size_t at, const traffic& t) {
      for (const bool one : {false, true}) {
        const double bytes = forward_bytes(s, t, s.bytes_per_value, s.bytes_per_value, one) / 1e3;
        lines[at + one].points.emplace_back(n, bytes);
        highest = (std::max)(highest, bytes);
      }
    };
    traffic t = paper_traffic(s, nodes);
    add(0, t);
    if (nodes > s.experts || !can_limit(s, nodes, s.limit_nodes)) continue;
    t.remote = observe(s, drawn.limited(nodes), nodes).distinct.mean * (1 - 1 / n);
    add(2, t);
  }
  const double step = std::pow(10, std::floor(std::log10(highest)));
  highest = step * (std::floor(highest / step) + 1);
  for (double value = 0; value <= highest; value += step / 2) y_ticks.emplace_back(value, text("%g", value));
  return chart("Bytes a token by number of nodes", "nodes (more than experts: replicas)", "kB a token, forward",
               {x_ticks.front().first, x_ticks.back().first, true}, {0, highest, false}, x_ticks, y_ticks, lines, 430,
               height - bottom - 80);
}

std::string time_picture(const setting& s) {
  constexpr double most = 16384;  // 2^14
  const index nodes = s.nodes[s.nodes.size() / 2 - (s.nodes.size() > 1)];
  std::vector<line> lines;
  double low = 1e30, high = 0;
  for (const std::size_t which : {std::size_t{1}, std::size_t{3}}) {
    const machine& m = machines()[which];
    const pass_time time = time_of_pass(s, paper_traffic(s, nodes), m, false);
    line exchange{std::string(m.name) + ": exchange", which == 1 ? index{0} : index{1}, false, {}};
    line compute{std::string(m.name) + ": compute", exchange.hue, true, {}};
    for (int half = 0; half <= 28; ++half) {
      const double count = std::exp2(half / 2.0);
      exchange.points.emplace_back(count, time.exchange(count) * 1e3);
      compute.points.emplace_back(count, time.compute(count) * 1e3);
      low = (std::min)({low, time.exchange(count) * 1e3, time.compute(count) * 1e3});
      high = (std::max)({high, time.exchange(count) * 1e3, time.compute(count) * 1e3});
    }
    lines.push_back(std::move(exchange));
    lines.push_back(std::move(compute));
  }
  std::vector<std::pair<double, std::string>> x_ticks, y_ticks;
  for (double count = 1; count <= most; count *= 4) x_ticks.emplace_back(count, text("%g", count));
  low = std::pow(10, std::floor(std::log10(low)));
  high = std::pow(10, std::ceil(std::log10(high)));
  for (double value = low; value <= high * 1.01; value *= 10) y_ticks.emplace_back(value, text("%g", value));
  return chart("Time of exchange and compute by tokens of a node", text("tokens of a node, %td nodes", nodes).c_str(),
               "ms, forward", {1, most, true}, {low, high, true}, x_ticks, y_ticks, lines, left + 20, top + 20);
}

}  // namespace

void write_pictures(const setting& s, routings& drawn) {
  write(s.pictures + "/scaling_bytes.svg", bytes_picture(s, drawn));
  write(s.pictures + "/scaling_time.svg", time_picture(s));
}

}  // namespace scaling
