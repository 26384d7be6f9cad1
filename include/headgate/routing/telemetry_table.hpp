// SPDX-License-Identifier: BSD-3-Clause
// Telemetry of several layers as a text to read: one line a layer, then one line an expert.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/routing/telemetry.hpp>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// One layer's telemetry and what to call it. Refers to the telemetry.
struct named_telemetry {
  std::string_view name;
  const routing_telemetry& telemetry;
};

struct table_options {
  bool experts = true;  ///< a table of the experts of each layer
  bool bars = true;     ///< and a bar for each, as long as its load
};

namespace detail {

/// Rows of cells under a row of titles; each column as wide as its widest cell, the first one flush left.
class text_table {
 public:
  explicit text_table(index columns) : widths_(columns) {}

  void add(std::string cell) {
    index& width = widths_[cells_.size() % widths_.size()];
    width = (std::max)(width, letters(cell));
    cells_.push_back(std::move(cell));
  }
  [[nodiscard]] std::string text() const {
    std::string all;
    for (index i = 0; i < cells_.size(); ++i) {
      const index column = i % widths_.size();
      const auto gap = static_cast<std::size_t>(widths_[column] - letters(cells_[i]));
      const bool last = column == widths_.size() - 1;
      if (column == 0)
        all += cells_[i] + std::string(last ? 0 : gap, ' ');
      else
        all += "  " + std::string(gap, ' ') + cells_[i];
      if (last) all += '\n';
    }
    return all;
  }

 private:
  /// Of a UTF-8 text: bytes that do not continue a letter.
  static index letters(const std::string& text) {
    return static_cast<index>(std::count_if(text.begin(), text.end(),
                                            [](char c) { return (static_cast<unsigned char>(c) & 0xc0u) != 0x80u; }));
  }
  array<index> widths_;
  array<std::string> cells_;
};

[[nodiscard]] inline std::string with_decimals(std::optional<double> value, int decimals, const char* unit = "") {
  if (!value) return "-";
  char text[400];  // of the largest double
  std::snprintf(text, sizeof text, "%.*f%s", decimals, *value, unit);
  return text;
}
[[nodiscard]] inline std::string percent(std::optional<double> part) {
  if (part) *part *= 100;
  return with_decimals(part, 2, "%");
}

/// The experts of one layer, by index.
[[nodiscard]] inline std::string expert_table(const routing_telemetry& t, bool bars) {
  constexpr double longest = 40;
  double most = 0;
  for (index e = 0; e < t.experts(); ++e) most = (std::max)(most, t.share(e));
  text_table table(3);
  for (const char* title : {"expert", "load", "share"}) table.add(title);
  for (index e = 0; e < t.experts(); ++e) {
    table.add(std::to_string(e));
    table.add(std::to_string(t.load(e)));
    table.add(percent(t.share(e)));
  }
  const std::string text = table.text();
  if (!bars || most == 0) return text;
  std::string with_bars;
  index line = 0;
  for (const char letter : text) {
    if (letter == '\n' && line++ > 0) {
      const auto length = static_cast<std::size_t>(longest * t.share(line - 2) / most + 0.5);
      if (length > 0) with_bars += "  " + std::string(length, '#');
    }
    with_bars += letter;
  }
  return with_bars;
}

}  // namespace detail

/// One line a layer, then the experts of each, by index. What a layer's records do not hold is "-".
[[nodiscard]] inline std::string telemetry_table(std::span<const named_telemetry> layers,
                                                 const table_options& options = {}) {
  using detail::with_decimals;
  detail::text_table table(11);
  for (const char* title : {"layer", "tokens", "assigned", "entropy", "of max", "max/mean", "unused", "dropped",
                            "top-1 p", "mean z", "mean z^2"})
    table.add(title);
  for (const auto& [name, t] : layers) {
    table.add(std::string(name));
    table.add(std::to_string(t.tokens()));
    table.add(std::to_string(t.assignments()));
    table.add(with_decimals(t.entropy(), 3));
    table.add(with_decimals(t.normalised_entropy(), 3));
    table.add(with_decimals(t.max_over_mean(), 2));
    table.add(std::to_string(t.unused_experts()));
    table.add(detail::percent(t.drop_rate()));
    table.add(with_decimals(t.mean_top1_probability(), 3));
    table.add(with_decimals(t.mean_z(), 3));
    table.add(with_decimals(t.mean_z_squared(), 3));
  }
  std::string text = table.text();
  for (const auto& [name, t] : layers) {
    if (!options.experts) break;
    text += '\n';
    text += name;
    text += '\n' + detail::expert_table(t, options.bars);
  }
  return text;
}

/// The table of one layer.
[[nodiscard]] inline std::string telemetry_table(std::string_view name, const routing_telemetry& of,
                                                 const table_options& options = {}) {
  const named_telemetry one[] = {{name, of}};
  return telemetry_table(one, options);
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
