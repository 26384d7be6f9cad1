// SPDX-License-Identifier: BSD-3-Clause
#include "html_tables.hpp"

#include <drawing/page.hpp>
#include <drawing/svg.hpp>

#include <algorithm>
#include <set>

namespace specialise {

namespace {

using drawing::text;

std::string cell(const std::string& what, const std::string& below = "") {
  return "<td>" + what + (below.empty() ? "" : "<small>" + below + "</small>") + "</td>";
}

std::string row(const std::string& head, const std::string& cells, bool is_reference = false) {
  return std::string(is_reference ? "<tr class=\"reference\">" : "<tr>") + "<th>" + head + "</th>" + cells + "</tr>\n";
}

std::string table(const std::vector<std::string>& heads, const std::string& rows) {
  std::string s = "<div class=\"wide\"><table><thead><tr>";
  for (const std::string& head : heads) s += "<th>" + head + "</th>";
  return s + "</tr></thead><tbody>\n" + rows + "</tbody></table></div>\n";
}

/// The mean, and its interval below.
std::string estimate_cell(const group& g, const named_figure& what) {
  const estimate e = estimate_of(g, what);
  return cell(text("%.*f", what.digits, e.mean), e.has_interval() ? text("± %.*f", what.digits, e.half_width) : "");
}

/// The signed difference in bits per byte with its interval, and what it says below.
std::string against_cell(const group& g, const group* reference, const char* without) {
  if (reference == nullptr) return cell("-", without);
  if (reference == &g) return cell("reference");
  const auto d = compare(g, *reference, bits_per_byte);
  if (!d) return cell("-", "no seed in common");
  return cell(with_interval(d->difference, bits_per_byte.digits, true), verdict(*d));
}

/// "-0.0158 to +0.0095", and below it the probability, after "higher" or "lower" if it leaves out zero.
std::string interval_cell(const std::optional<paired_difference>& d, int digits) {
  if (!d) return cell("-", "no seed in common");
  const estimate& e = d->difference;
  if (!e.has_interval()) return cell(with_interval(e, digits, true), verdict(*d));
  return cell(text("%+.*f to %+.*f", digits, e.mean - e.half_width, digits, e.mean + e.half_width),
              (e.differs_from_zero() ? verdict(*d) + ", " : "") + probability_of(*d));
}

/// Nested settings as "data, train_bytes".
void flatten(const nlohmann::ordered_json& value, const std::string& name, std::string& rows) {
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) flatten(inner, name.empty() ? key : name + ", " + key, rows);
    return;
  }
  std::string shown = value.is_string() ? value.get<std::string>() : value.dump();
  if (value.is_number_integer() && value >= 10000) shown = drawing::grouped(value.get<double>());
  if (value.is_array()) {
    shown.clear();
    for (const auto& entry : value)
      shown += (shown.empty() ? "" : ", ") + (entry.is_string() ? entry.get<std::string>() : entry.dump());
  }
  rows += row(drawing::escaped(name), cell(drawing::escaped(shown)));
}

}  // namespace

std::string table_style() {
  return "body{max-width:860px}.wide{overflow-x:auto}td{white-space:nowrap}thead "
         "th:first-child{text-align:left}.settings "
         "table{width:auto}tbody th,tbody tr:first-child "
         "td{font-weight:400}tbody th{font-weight:600}"
         "td small{display:block;color:#57606a;font-size:12px}p.name{color:inherit;font-weight:600;margin:14px 0 0}"
         "tr.reference td,tr.reference th{background:#f1f3f5}summary{cursor:pointer;margin:12px 0}"
         "@media (prefers-color-scheme:dark){td small{color:#9da7b1}tr.reference td,tr.reference "
         "th{background:#161b22}}";
}

std::string pool_table(const std::vector<group>& groups, bool with_weights) {
  std::string rows;
  for (const group& g : groups) {
    const group* const global = global_of(groups, g);
    const bool is_reference = global == &g;
    std::string cells = (with_weights ? cell(g.pool) : "") + cell(std::to_string(g.runs.size())) +
                        estimate_cell(g, bits_per_byte) + against_cell(g, global, "no global run");
    for (const named_figure& what : figures_of_use()) cells += estimate_cell(g, what);
    rows += row(with_weights ? text("%g", g.weight) : g.pool, cells, is_reference);
  }
  std::vector<std::string> heads{"balance pool", "seeds", bits_per_byte.name, "against global"};
  for (const named_figure& what : figures_of_use()) heads.push_back(what.name);
  if (with_weights) heads.insert(heads.begin(), "weight");
  return table(heads, rows);
}

std::string difference_table(const std::vector<group>& groups) {
  std::string rows;
  for (const group& g : groups) {
    const group* const global = global_of(groups, g);
    if (global == nullptr || global == &g) continue;
    const auto bits = compare(g, *global, bits_per_byte);
    std::string cells = cell(std::to_string(bits ? bits->difference.count : 0));
    for (const named_figure& what : compared_figures()) cells += interval_cell(compare(g, *global, what), what.digits);
    rows += row(g.pool, cells);
  }
  if (rows.empty()) return "";
  std::vector<std::string> heads{"balance pool", "common seeds"};
  for (const named_figure& what : compared_figures()) heads.push_back(what.name);
  return table(heads, rows);
}

std::string domain_table(const std::vector<group>& groups, const std::vector<std::string>& domains) {
  std::string rows;
  std::vector<std::string> heads{"domain"};
  for (const group& g : groups) heads.push_back(g.pool);
  for (std::size_t d = 0; d < domains.size(); ++d) {
    const figure bits = [d](const logged_run& run) { return run.last().bpb_by_domain[d]; };
    std::string cells;
    for (const group& g : groups) {
      const group* const global = global_of(groups, g);
      std::string below;
      if (global != nullptr && global != &g)
        if (const auto difference = compare(g, *global, bits)) below = with_interval(difference->difference, 3, true);
      cells += cell(text("%.3f", estimate_of(g, bits).mean), below);
    }
    rows += row(domains[d], cells);
  }
  return table(heads, rows);
}

std::string layer_table(const std::vector<group>& groups) {
  std::string rows;
  std::vector<std::string> heads{"balance pool"};
  const std::size_t layers = groups.front().runs.front()->last().counts.size();
  for (std::size_t l = 0; l < layers; ++l)
    for (const named_figure& what : layer_figures(l)) heads.push_back(text("layer %zu: %s", l + 1, what.name));
  for (const group& g : groups) {
    std::string cells;
    for (std::size_t l = 0; l < layers; ++l)
      for (const named_figure& what : layer_figures(l)) cells += estimate_cell(g, what);
    rows += row(g.pool, cells);
  }
  return table(heads, rows);
}

std::string rank_table(const std::vector<group>& groups) {
  std::string rows;
  for (const group& g : groups) {
    if (g.pool == "buffer") continue;  // with more ranks it is another pool: that of more micro-batches at each moment
    const bool alone = std::ranges::count(groups, g.pool, &group::pool) == 1;
    if (alone) continue;
    const group* const one = find_group(groups, g.weight, g.pool, 1);
    rows += row(g.pool,
                cell(std::to_string(g.ranks)) + cell(std::to_string(g.runs.size())) + estimate_cell(g, bits_per_byte) +
                    against_cell(g, one, "no run on one rank") + estimate_cell(g, information) +
                    cell(text("%.0f", estimate_of(g, [](const logged_run& r) { return r.tokens_per_second; }).mean)),
                one == &g);
  }
  if (rows.empty()) return "";
  return table({"balance pool", "ranks", "seeds", bits_per_byte.name, "against one rank", information.name, "bytes/s"},
               rows);
}

std::string settings_table(const run_folder& folder) {
  std::string rows;
  flatten(folder.runs.front().settings, "", rows);
  std::string weights;
  double seconds = 0;
  std::set<double> different;
  for (const logged_run& run : folder.runs) different.insert(run.weight);
  for (const double weight : different) weights += (weights.empty() ? "" : ", ") + text("%g", weight);
  for (const logged_run& run : folder.runs) seconds += run.seconds;
  rows += row("weight of the balance loss", cell(weights));
  rows += row("runs", cell(std::to_string(folder.runs.size())));
  rows += row("all runs, minutes", cell(text("%.1f", seconds / 60)));
  return "<div class=\"settings\">" + table({"", ""}, rows) + "</div>\n";
}

}  // namespace specialise
