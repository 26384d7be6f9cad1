// SPDX-License-Identifier: BSD-3-Clause
#include "pictures.hpp"

#include <drawing/chart.hpp>
#include <drawing/svg.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

namespace specialise {

namespace {

using drawing::label, drawing::scale, drawing::text, drawing::value_grid, drawing::width;

constexpr double left = 74, right = 112, top = 14, bottom = 46;  // margins hold axes and labels

/// Hues that neighbours in a list are told apart by.
std::size_t hue(std::size_t number) {
  constexpr std::array<std::size_t, 8> order{0, 1, 2, 4, 6, 5, 3, 7};
  return order[number % order.size()];
}

/// Values of one line by step, with the half height of its band (0: none).
struct curve {
  std::string name;
  std::size_t colour = 0;
  std::vector<double> x, y, half;
};

std::string line_chart(const std::vector<curve>& curves, const char* title, const std::string& axis, bool around_zero) {
  constexpr double height = 320;
  double low = around_zero ? 0 : std::numeric_limits<double>::max(), high = around_zero ? 0 : -low, last = 1;
  for (const curve& c : curves) last = (std::max)(last, c.x.back());
  // The first steps fall from 8 bits a byte and would flatten the rest: what is seen begins at a fifth of the steps.
  for (const curve& c : curves)
    for (std::size_t i = 0; i < c.x.size(); ++i) {
      if (c.x[i] * 5 < last && i + 1 < c.x.size()) continue;
      low = (std::min)(low, c.y[i] - c.half[i]);
      high = (std::max)(high, c.y[i] + c.half[i]);
    }
  const double air = high > low ? 0.05 * (high - low) : 0.01;
  const scale x{0, last, left, width - right}, y{low - air, high + air, height - bottom, top};

  std::string s = drawing::open(height, title);
  s += text("<clipPath id=\"%s\"><rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\"/></clipPath>\n",
            around_zero ? "differences" : "curves", left, top, width - left - right, height - top - bottom);
  s += value_grid(y, left, width - right, around_zero);
  const double step = drawing::round_step(last);
  for (double at = 0; at <= last * (1 + 1e-9); at += step)
    s += label(x(at), height - bottom + 18, "tick middle", text("%g", at));
  s += label((left + width - right) / 2, height - bottom + 38, "axis middle", "step");
  s += drawing::rotated(14, (top + height - bottom) / 2, axis);
  if (around_zero)
    s += text("<line x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\" class=\"even\"/>\n", left, width - right, y(0), y(0));
  s += text("<g clip-path=\"url(#%s)\">\n", around_zero ? "differences" : "curves");
  for (const curve& c : curves) {
    s += text("<polygon class=\"f%zu\" fill-opacity=\".16\" points=\"", hue(c.colour));
    for (std::size_t i = 0; i < c.x.size(); ++i) s += text("%.1f,%.1f ", x(c.x[i]), y(c.y[i] + c.half[i]));
    for (std::size_t i = c.x.size(); i-- > 0;) s += text("%.1f,%.1f ", x(c.x[i]), y(c.y[i] - c.half[i]));
    s += "\"/>\n";
  }
  for (const curve& c : curves) {
    s += text("<polyline class=\"line l%zu\" points=\"", hue(c.colour));
    for (std::size_t i = 0; i < c.x.size(); ++i) s += text("%.1f,%.1f ", x(c.x[i]), y(c.y[i]));
    s += text("\"><title>%s</title></polyline>\n", c.name.c_str());
  }
  s += "</g>\n";
  // Names at the right, beside the ends of their lines but never over each other.
  std::vector<std::size_t> order(curves.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return y(curves[i].y.back()); });
  std::vector<double> places;
  for (const std::size_t i : order)
    places.push_back((std::max)(y(curves[i].y.back()), places.empty() ? top + 6 : places.back() + 17));
  for (std::size_t n = places.size(), limit = 0; n-- > 0; ++limit)  // push back up what fell out below
    places[n] = (std::min)(places[n], height - bottom - 2 - 17 * static_cast<double>(limit));
  for (std::size_t n = 0; n < order.size(); ++n) {
    const curve& c = curves[order[n]];
    s += text("<path class=\"line l%zu\" d=\"M%g %.1fL%g %.1fL%g %.1f\" stroke-opacity=\".7\"/>\n", hue(c.colour),
              width - right + 2, y(c.y.back()), width - right + 12, places[n], width - right + 22, places[n]);
    s += label(width - right + 27, places[n] + 4, "key", c.name);
  }
  return s + "</svg>\n";
}

/// The same for groups of the same pool.
std::size_t colour_of(const std::vector<group>& groups, std::size_t number) {
  std::vector<std::string> pools;
  for (const group& g : groups)
    if (std::ranges::find(pools, g.pool) == pools.end()) pools.push_back(g.pool);
  return static_cast<std::size_t>(std::ranges::find(pools, groups[number].pool) - pools.begin());
}

/// The validations that all runs of the group have, by step.
std::vector<std::int64_t> common_steps(const std::vector<const logged_run*>& runs) {
  std::map<std::int64_t, std::size_t> seen;
  for (const logged_run* run : runs)
    for (const validation_record& v : run->validations) ++seen[v.step];
  std::vector<std::int64_t> steps;
  for (const auto& [step, count] : seen)
    if (count == runs.size()) steps.push_back(step);
  return steps;
}

figure bits_at(std::int64_t step) {
  return [step](const logged_run& run) {
    for (const validation_record& v : run.validations)
      if (v.step == step) return v.bpb();
    return std::nan("");
  };
}

}  // namespace

std::string validation_curves(const std::vector<group>& groups) {
  std::vector<curve> curves;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    curve c{groups[g].pool, g, {}, {}, {}};
    for (const std::int64_t step : common_steps(groups[g].runs)) {
      const estimate e = estimate_of(groups[g], bits_at(step));
      c.x.push_back(static_cast<double>(step));
      c.y.push_back(e.mean);
      c.half.push_back(e.has_interval() ? e.deviation : 0);
    }
    curves.push_back(std::move(c));
  }
  return line_chart(curves, "Validation bits per byte by step", "bits per byte", false);
}

std::string difference_curves(const std::vector<group>& groups, const group& reference) {
  std::vector<curve> curves;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (groups[g].pool == reference.pool && groups[g].ranks == reference.ranks) continue;
    curve c{groups[g].pool, g, {}, {}, {}};
    std::vector<const logged_run*> both = groups[g].runs;
    both.insert(both.end(), reference.runs.begin(), reference.runs.end());
    for (const std::int64_t step : common_steps(both)) {
      const auto d = compare(groups[g], reference, bits_at(step));
      if (!d) break;
      c.x.push_back(static_cast<double>(step));
      c.y.push_back(d->difference.mean);
      c.half.push_back(d->difference.has_interval() ? d->difference.half_width : 0);
    }
    if (!c.x.empty()) curves.push_back(std::move(c));
  }
  if (curves.empty()) return "";
  return line_chart(curves, "Difference to the global pool by step", "bits per byte more than global", true);
}

panel panel_of(const named_figure& what) {
  return {.title = what.title, .values = [what](const group& g) { return values_of(g, what); }, .digits = what.digits};
}

panel panel_against_global(const std::vector<group>& groups, const named_figure& what) {
  const auto differences = [&groups, what](const group& g) {
    const group* const global = global_of(groups, g);
    if (global == nullptr || g.pool == "global") return std::vector<seed_value>{};
    return differences_of(g, *global, what);
  };
  return {.title = what.title + std::string(" more than global, same seed"),
          .values = differences,
          .digits = what.digits,
          .around_zero = true};
}

std::string by_pool(const std::vector<group>& groups, const std::vector<panel>& panels, bool with_weights) {
  constexpr double height = 280, gap = 74, head = 40;
  const double foot = with_weights ? bottom + 4 : bottom - 12;
  const auto count = static_cast<double>(panels.size());
  const double panel_width = (width - 8 - gap * count) / count;
  std::string s = drawing::open(height, with_weights ? "Figures by weight and pool" : "Figures by pool");
  for (std::size_t p = 0; p < panels.size(); ++p) {
    const double x0 = gap + (panel_width + gap) * static_cast<double>(p) - 12, x1 = x0 + panel_width;
    double low = std::numeric_limits<double>::max(), high = -low;
    if (panels[p].around_zero) low = high = 0;
    for (const group& g : groups) {
      const std::vector<seed_value> values = panels[p].values(g);
      for (const seed_value& one : values) low = (std::min)(low, one.value), high = (std::max)(high, one.value);
      if (values.size() < 2) continue;
      const estimate e = estimate_of(values);
      low = (std::min)(low, e.mean - e.half_width);
      high = (std::max)(high, e.mean + e.half_width);
    }
    const double air = high > low ? 0.08 * (high - low) : 0.01;
    const scale y{low - air, high + air, height - foot, head};
    s += label(x0, head - 20, "axis", panels[p].title);
    s += value_grid(y, x0, x1, panels[p].around_zero);
    if (panels[p].around_zero)
      s += text("<line x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\" class=\"even\"/>\n", x0, x1, y(0), y(0));
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const double x = x0 + panel_width * (static_cast<double>(g) + 0.5) / static_cast<double>(groups.size());
      const std::size_t colour = hue(with_weights ? colour_of(groups, g) : g);
      s += label(x, height - foot + 18, "tick middle", groups[g].pool);
      if (with_weights) s += label(x, height - foot + 34, "tick middle", text("%g", groups[g].weight));
      const std::vector<seed_value> values = panels[p].values(groups[g]);
      if (values.empty()) continue;
      const estimate e = estimate_of(values);
      if (e.has_interval())
        s += text("<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" class=\"line l%zu\"/>\n", x, x,
                  y(e.mean - e.half_width), y(e.mean + e.half_width), colour);
      s += text("<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" class=\"line l%zu\"><title>%s</title></line>\n",
                x - 11, x + 11, y(e.mean), y(e.mean), colour,
                with_interval(e, panels[p].digits, panels[p].around_zero).c_str());
      for (const seed_value& one : values)
        s += text(
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" class=\"f%zu\" fill-opacity=\".55\"><title>seed %llu: "
            "%.*f</title></circle>\n",
            x, y(one.value), colour, static_cast<unsigned long long>(one.seed), panels[p].digits, one.value);
    }
  }
  return s + "</svg>\n";
}

}  // namespace specialise
