// SPDX-License-Identifier: BSD-3-Clause
// The pictures of docs/scaling.md.
#include "report.hpp"

#include "table.hpp"

#include <drawing/chart.hpp>
#include <drawing/page.hpp>
#include <drawing/svg.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace scaling {

namespace {

using drawing::label, drawing::scale, drawing::width;

constexpr double height = 400, left = 70, right = 30, top = 20, bottom = 52;  // pixels

struct line {
  std::string name;
  int hue;  // of drawing::style
  bool dashed;
  std::vector<std::pair<double, double>> points;
};

constexpr int first_hue = 0, second_hue = 2;  // that are told apart best

/// A range of one axis, and the values that are named.
struct axis {
  std::string name;
  double low, high;
  bool logarithmic;
  std::vector<double> ticks;
};

std::string chart(const char* title, const axis& across, const axis& up, const std::vector<line>& lines, double key_x,
                  double key_y) {
  const scale x{across.low, across.high, left, width - right, across.logarithmic};
  const scale y{up.low, up.high, height - bottom, top, up.logarithmic};
  std::string s = drawing::open(height, title) + "<style>" + drawing::style() + "</style>\n";
  s += text("<rect width=\"%g\" height=\"%g\" class=\"paper\"/>\n", width, height);
  for (const double value : across.ticks) s += drawing::grid_column(x(value), top, height - bottom, text("%g", value));
  for (const double value : up.ticks) s += drawing::grid_row(left, width - right, y(value), text("%g", value));
  s += label((left + width - right) / 2, height - 10, "axis middle", across.name);
  s += drawing::rotated(18, (top + height - bottom) / 2, up.name);
  for (const line& l : lines) {
    const std::string look = text("class=\"line l%d\"%s", l.hue, l.dashed ? " stroke-dasharray=\"6 4\"" : "");
    s += "<polyline " + look + " points=\"";
    for (const auto& [px, py] : l.points) s += text("%.1f,%.1f ", x(px), y(py));
    s += "\"/>\n";
    s +=
        text("<line x1=\"%g\" x2=\"%g\" y1=\"%g\" y2=\"%g\" ", key_x, key_x + 30, key_y - 4, key_y - 4) + look + "/>\n";
    s += label(key_x + 38, key_y, "key", l.name);
    key_y += 20;
  }
  return s + "</svg>\n";
}

std::string bytes_picture(const setting& s, routings& drawn) {
  std::vector<line> lines{{"no limit, a row back for each assignment", first_hue, false, {}},
                          {"no limit, a row back for each node", first_hue, true, {}},
                          {text("at most %td nodes, for each assignment", s.limit_nodes), second_hue, false, {}},
                          {text("at most %td nodes, for each node", s.limit_nodes), second_hue, true, {}}};
  std::vector<double> x_ticks, y_ticks;
  double highest = 0;
  for (const index nodes : s.nodes) {
    const double n = static_cast<double>(nodes);
    x_ticks.push_back(n);
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
  for (double value = 0; value <= highest; value += step / 2) y_ticks.push_back(value);
  return chart("Bytes a token by number of nodes",
               {"nodes (more than experts: replicas)", x_ticks.front(), x_ticks.back(), true, x_ticks},
               {"kB a token, forward", 0, highest, false, y_ticks}, lines, 400, height - bottom - 80);
}

std::string time_picture(const setting& s) {
  constexpr double most = 16384;  // 2^14
  const index nodes = s.nodes[s.nodes.size() / 2 - (s.nodes.size() > 1)];
  std::vector<line> lines;
  double low = 1e30, high = 0;
  for (const std::size_t which : {std::size_t{1}, std::size_t{3}}) {
    const machine& m = machines()[which];
    const pass_time time = time_of_pass(s, paper_traffic(s, nodes), m, false);
    line exchange{std::string(m.name) + ": exchange", which == 1 ? first_hue : second_hue, false, {}};
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
  std::vector<double> x_ticks, y_ticks;
  for (double count = 1; count <= most; count *= 4) x_ticks.push_back(count);
  low = std::pow(10, std::floor(std::log10(low)));
  high = std::pow(10, std::ceil(std::log10(high)));
  for (double value = low; value <= high * 1.01; value *= 10) y_ticks.push_back(value);
  return chart("Time of exchange and compute by tokens of a node",
               {text("tokens of a node, %td nodes", nodes), 1, most, true, x_ticks},
               {"ms, forward", low, high, true, y_ticks}, lines, left + 20, top + 20);
}

}  // namespace

void write_pictures(const setting& s, routings& drawn) {
  drawing::write_file(s.pictures + "/scaling_bytes.svg", bytes_picture(s, drawn));
  drawing::write_file(s.pictures + "/scaling_time.svg", time_picture(s));
}

}  // namespace scaling
