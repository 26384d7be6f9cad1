// SPDX-License-Identifier: BSD-3-Clause
#include "report/page.hpp"

#include <algorithm>
#include <cstdio>
#include <set>

#include "report/chart.hpp"
#include "report/style.hpp"
#include "report/tables.hpp"

namespace headgate_report {

namespace {

std::string subtitle_of(const std::string& shape) {
  if (shape == "olmoe") return "2048 x 1024, 64 experts, top 8";
  if (shape == "mixtral") return "4096 x 3584, 8 experts, top 2";
  if (shape == "small") return "512 x 1024, 8 experts, top 2";
  if (shape == "tabular") return "64 x 128, 16 experts, top 2";
  if (shape == "qwen3") return "2048 x 768, 128 experts, top 8";
  if (shape == "deepseek") return "7168 x 2048, 16 experts, top 8";
  return "";
}

point point_of(const results& r, const benchmark_name& n) {
  const samples& one = *r.find(n);
  const auto [low, high] = r.share_range(n);
  char text[160];
  std::snprintf(text, sizeof text, "%s, %d tokens: %.4g ms, %.0f %% of the limit, spread %.1f %%", n.who.c_str(),
                n.tokens, median(one.ms), 100 * r.share(n), 100 * variation(one.ms));
  return {static_cast<double>(n.tokens), r.share(n), low, high, text};
}

/// The line of each contender, ours first, and what bounds each number of tokens (of fp32).
std::string panel(const results& r, const std::string& kind, const std::string& shape) {
  std::vector<line> lines;
  std::vector<bound> bounds;
  std::vector<benchmark_name> names = r.names_of(kind);
  std::stable_sort(names.begin(), names.end(),
                   [](const auto& a, const auto& b) { return place_of(a.who) < place_of(b.who); });
  for (const benchmark_name& n : names) {
    if (n.shape != shape || n.threads != 1 || n.routing != "uniform" || !r.find(n) || r.share(n) == 0) continue;
    if (lines.empty() || lines.back().who != n.who) lines.push_back({n.who, {}});
    lines.back().points.push_back(point_of(r, n));
    const samples& one = *r.find(n);
    const bool known = std::any_of(bounds.begin(), bounds.end(), [&](const bound& b) { return b.tokens == n.tokens; });
    if (!known && !one.roofline.empty())
      bounds.push_back({static_cast<double>(n.tokens), one.counter("memory/peak") > 1 ? one.label : "peak"});
  }
  const auto by_tokens = [](const auto& a, const auto& b) { return a.tokens < b.tokens; };
  for (line& one : lines) std::sort(one.points.begin(), one.points.end(), by_tokens);
  std::sort(bounds.begin(), bounds.end(), by_tokens);
  return bounds.empty() ? "" : draw_chart(shape, subtitle_of(shape), lines, bounds);
}

std::string picture(const results& r, const std::string& kind) {
  std::vector<std::string> shapes;
  std::set<std::pair<int, std::string>> who;
  for (const benchmark_name& n : r.names_of(kind)) {
    if (std::find(shapes.begin(), shapes.end(), n.shape) == shapes.end()) shapes.push_back(n.shape);
    if (n.threads == 1 && n.routing == "uniform" && r.find(n)) who.emplace(place_of(n.who), n.who);
  }
  std::string html = "<div class='legend'>";
  for (const auto& [place, name] : who) html += "<span>" + draw_key(name) + title_of(name) + "</span>";
  html += "</div><div class='panels'>";
  for (const std::string& shape : shapes) html += panel(r, kind, shape);
  return html + "</div>";
}

std::string context_value(const results& r, const std::string& key) {
  const auto found = r.context.find(key);
  return found == r.context.end() ? "" : escape(found->second);
}

/// Google Benchmark notes processor time too: where one thread has less than the time that passed, something else ran.
std::string disturbance(const results& r) {
  int disturbed = 0, all = 0;
  for (const auto& [name, one] : r.all) {
    if (name.find("/threads:1/") == std::string::npos || one.counter("cpu_time") == 0) continue;
    ++all;
    disturbed += one.counter("cpu_time") < 0.95 * one.counter("real_time") ? 1 : 0;
  }
  if (disturbed == 0) return "";
  return "<p class='failed'>" + std::to_string(disturbed) + " of " + std::to_string(all) +
         " benchmarks of one thread ran less than 95 % of their time: something else used this machine, and theirs are "
         "not "
         "figures to quote.</p>";
}

std::string section(const std::string& title, const std::string& text, const std::string& body) {
  return body.empty() ? "" : "<h2>" + title + "</h2><p class='muted'>" + text + "</p>" + body;
}

}  // namespace

std::string make_page(const results& r) {
  std::string html =
      "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Headgate: close to the machine?</title>"
      "<meta name='viewport' content='width=device-width'><style>";
  html += style;
  html += "</style></head><body><h1>Headgate: close to the machine?</h1><p class='muted'>" + context_value(r, "date") +
          ", " + context_value(r, "processor") + ", " + context_value(r, "instruction_set") + ", " +
          context_value(r, "compiler") + ", " + context_value(r, "flags") + "</p>";
  html += disturbance(r);
  if (!r.names_of("layer").empty())
    html += section(
        "Whole layers, one thread",
        "Share of the limit that a forward pass reaches: max(operations / peak, bytes of the active weights / read "
        "rate) / time. The limits are measured in the same process right before and after each repetition. Cold "
        "weights where a layer does not fit in a cache. Marks are medians, bars reach from the worst to the best "
        "repetition. 100 % is the machine; nobody is above it but by noise.",
        picture(r, "layer"));
  if (!r.names_of("train").empty())
    html += section("Training, one thread",
                    "Forward and backward: gradients of the input, of all weights and of the router. Three times the "
                    "operations of a forward pass.",
                    picture(r, "train"));
  html += section("Medians",
                  "Milliseconds, the spread (standard deviation / mean), the share of the limit, and how many "
                  "times faster than Eigen by hand in the same run.",
                  main_table(r));
  html += section("Two threads against one",
                  "Same run, repetitions in turns. All-to-one routing sends every token to the "
                  "same k experts.",
                  threads_table(r));
  html += section("16-bit weights against fp32", "One thread.", storage_table(r));
  html += section("Routing", "Score, top k and grouping, nanoseconds for each token.", routing_table(r));
  html += section("What compilers and linkers pay", "", cost_table(r));
  html += section("Machine limits", "Medians of the repetitions, at the beginning of the run.", limits_table(r));
  html += section("Circumstances", "As the program found them.", context_table(r));
  return html + "</body></html>\n";
}

}  // namespace headgate_report
