// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include "pictures.hpp"
#include "summary.hpp"

#include <drawing/page.hpp>
#include <drawing/svg.hpp>

#include <algorithm>
#include <cmath>

namespace specialise {

namespace {

using drawing::text;

constexpr const char* table_style =
    "body{max-width:860px}.wide{overflow-x:auto}td{white-space:nowrap}thead th:first-child{text-align:left}.settings "
    "table{width:auto}tbody th,tbody tr:first-child "
    "td{font-weight:400}tbody th{font-weight:600}"
    "td small{display:block;color:#57606a;font-size:12px}p.verdict{color:inherit}p.verdict b{font-weight:600}"
    "tr.reference td,tr.reference th{background:#f1f3f5}summary{cursor:pointer;margin:12px 0}"
    "@media (prefers-color-scheme:dark){td small{color:#9da7b1}tr.reference td,tr.reference th{background:#161b22}}";

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

/// A signed difference with its interval, and what it says below.
std::string difference_cell(const std::optional<paired_difference>& d, int digits) {
  if (!d) return cell("-", "no seed in common");
  return cell(with_interval(d->difference, digits, true), verdict(*d));
}

std::string pool_table(const std::vector<group>& groups) {
  std::string rows;
  for (const group& g : groups) {
    const group* const global = find_group(groups, "global", g.ranks);
    const bool is_reference = global == &g;
    rows += row(g.pool,
                cell(std::to_string(g.runs.size())) + cell(with_interval(estimate_of(g, bits_per_byte), 4)) +
                    (global == nullptr ? cell("-", "no global run")
                     : is_reference    ? cell("reference")
                                       : difference_cell(compare(g, *global, bits_per_byte), 4)) +
                    cell(with_interval(estimate_of(g, information), 3)) +
                    cell(with_interval(estimate_of(g, largest_frequency), 3)) +
                    cell(with_interval(estimate_of(g, balance), 3)),
                is_reference);
  }
  return table({"balance pool", "seeds", "bits per byte", "against global", "information, bits", "largest frequency",
                "balance loss"},
               rows);
}

std::string verdicts(const std::vector<group>& groups) {
  std::string s;
  for (const group& g : groups) {
    const group* const global = find_group(groups, "global", g.ranks);
    if (global == nullptr || global == &g) continue;
    const auto bits = compare(g, *global, bits_per_byte), of_information = compare(g, *global, information);
    const auto frequency = compare(g, *global, largest_frequency);
    if (!bits) continue;
    s += "<p class=\"verdict\"><b>" + g.pool + " against global.</b> Bits per byte: " + sentence_of(*bits, 4) +
         ". Information: " + sentence_of(*of_information, 3, " bits") +
         ". Largest frequency: " + sentence_of(*frequency, 3) + ".</p>\n";
  }
  return s;
}

std::string domain_table(const std::vector<group>& groups, const std::vector<std::string>& domains) {
  std::string rows;
  std::vector<std::string> heads{"domain"};
  for (const group& g : groups) heads.push_back(g.pool);
  for (std::size_t d = 0; d < domains.size(); ++d) {
    const figure bits = [d](const logged_run& run) { return run.last().bpb_by_domain[d]; };
    std::string cells;
    for (const group& g : groups) {
      const group* const global = find_group(groups, "global", g.ranks);
      std::string below;
      if (global != nullptr && global != &g)
        if (const auto difference = compare(g, *global, bits)) below = with_interval(difference->difference, 3, true);
      cells += cell(text("%.3f", estimate_of(g, bits).mean), below);
    }
    rows += row(domains[d], cells);
  }
  return table(heads, rows);
}

std::string layer_table(const std::vector<group>& groups, std::size_t layers) {
  std::string rows;
  std::vector<std::string> heads{"balance pool"};
  for (std::size_t l = 0; l < layers; ++l) {
    heads.push_back(text("information, layer %zu", l + 1));
    heads.push_back(text("largest frequency, layer %zu", l + 1));
  }
  for (const group& g : groups) {
    std::string cells;
    for (std::size_t l = 0; l < layers; ++l)
      cells +=
          cell(with_interval(estimate_of(g, [l](const logged_run& r) { return r.last().information[l]; }), 3)) +
          cell(with_interval(estimate_of(g, [l](const logged_run& r) { return r.last().largest_frequency[l]; }), 3));
    rows += row(g.pool, cells);
  }
  return table(heads, rows);
}

/// Only of pools that ran on more than one number of ranks.
std::string rank_table(const std::vector<group>& groups) {
  std::string rows;
  for (const group& g : groups) {
    const bool alone = std::ranges::count(groups, g.pool, &group::pool) == 1;
    if (alone) continue;
    const group* const one = find_group(groups, g.pool, 1);
    rows += row(g.pool,
                cell(std::to_string(g.ranks)) + cell(std::to_string(g.runs.size())) +
                    cell(with_interval(estimate_of(g, bits_per_byte), 4)) +
                    (one == nullptr ? cell("-", "no run on one rank")
                     : one == &g    ? cell("reference")
                                    : difference_cell(compare(g, *one, bits_per_byte), 4)) +
                    cell(with_interval(estimate_of(g, information), 3)) +
                    cell(text("%.0f", estimate_of(g, [](const logged_run& r) { return r.tokens_per_second; }).mean)),
                one == &g);
  }
  if (rows.empty()) return "";
  return "<h2>More ranks</h2>\n<p>The same steps shared by data-parallel ranks, compared over the same seeds.</p>\n" +
         table({"balance pool", "ranks", "seeds", "bits per byte", "against one rank", "information, bits", "tokens/s"},
               rows);
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

std::string settings_table(const run_folder& folder) {
  std::string rows;
  flatten(folder.runs.front().settings, "", rows);
  double seconds = 0;
  for (const logged_run& run : folder.runs) seconds += run.seconds;
  rows += row("runs", cell(std::to_string(folder.runs.size())));
  rows += row("all runs, minutes", cell(text("%.1f", seconds / 60)));
  return "<h2>Settings and data</h2>\n<div class=\"settings\">" + table({"", ""}, rows) + "</div>\n";
}

std::string maps(const std::vector<group>& groups) {
  double most = 0;
  for (const group& g : groups) most = (std::max)(most, largest_share(*g.runs.front()));
  const logged_run& any = *groups.front().runs.front();
  std::string s = text(
      "<h2>Who reads which domain</h2>\n<p>Share of a domain's assignments that each expert gets: one row a domain, "
      "one column an "
      "expert, experts in the order of the domain that uses them most. A row sums to 100 %%; the full colour is %.0f "
      "%%, an "
      "even router would show %.1f %% everywhere. One run of each pool, its lowest seed.</p>\n",
      100 * most, 100.0 / static_cast<double>(any.experts));
  for (const group& g : groups)
    s += "<p class=\"verdict\"><b>" + g.pool + "</b>, seed " + std::to_string(g.runs.front()->seed) + "</p>\n" +
         expert_maps(*g.runs.front(), most);
  return s;
}

std::string left_out(const run_folder& folder) {
  if (folder.skipped.empty()) return "";
  std::string s = "<h2>Left out</h2>\n";
  for (const std::string& reason : folder.skipped) s += "<p>" + reason + "</p>\n";
  return s;
}

/// What comes from files and folders, made safe for a page.
run_folder escaped(run_folder folder) {
  for (logged_run& run : folder.runs) {
    run.pool = drawing::escaped(run.pool);
    for (std::string& domain : run.domains) domain = drawing::escaped(domain);
  }
  for (std::string& reason : folder.skipped) reason = drawing::escaped(reason);
  return folder;
}

}  // namespace

std::string report_page(const run_folder& unescaped) {
  const run_folder folder = escaped(unescaped);
  std::string body = "<h1>Balance pools and the experts they make</h1>\n";
  if (folder.runs.empty()) {
    body += "<p>No run here is finished.</p>\n" + left_out(folder);
    return drawing::page("Headgate: balance pools", body, table_style);
  }
  const std::vector<group> all = groups_of(folder.runs);
  const std::int64_t fewest = std::ranges::min(all, {}, &group::ranks).ranks;
  std::vector<group> groups;  // what all but the table of ranks is about
  std::ranges::copy_if(all, std::back_inserter(groups), [&](const group& g) { return g.ranks == fewest; });
  const logged_run& any = *groups.front().runs.front();

  body += text(
      "<p>A language model over bytes, with %lld of %lld experts for each byte in each of its %lld layers, learns from "
      "%zu kinds of "
      "text, one kind a sequence. The balance loss asks that experts be used evenly over a <i>pool</i>: one "
      "micro-batch, several, or "
      "all of an optimizer step (<i>global</i>). A small pool forbids an expert to prefer a kind of text. "
      "<i>shuffled</i> is "
      "as small as a micro-batch, but drawn from the whole step.</p>\n",
      static_cast<long long>(any.k), static_cast<long long>(any.experts), static_cast<long long>(any.layers),
      any.domains.size());
  body += pool_table(groups);
  body += text(
      "<p>Validation at step %lld, mean ± half of the 95 %% confidence interval over seeds (Student's t). <i>Against "
      "global</i>: the mean "
      "of the differences to the global pool with the same seed. Information: between domain and expert, mean of the "
      "layers, at most "
      "%.2f bits. Largest frequency: the largest share of a domain's assignments that one expert has, %.3f if even. "
      "Balance loss: over the "
      "whole step, unweighted, 1 if even; the last tenth of training.</p>\n",
      static_cast<long long>(any.steps), std::log2(static_cast<double>(any.domains.size())),
      1.0 / static_cast<double>(any.experts));
  body += verdicts(groups);

  body += "<h2>By pool</h2>\n<p>Each dot is a seed; the bars are means with their 95 % intervals.</p>\n";
  body += by_pool(groups, {{"bits per byte", bits_per_byte, 4}, {"information, bits", information, 3}});
  body += by_pool(groups, {{"largest frequency", largest_frequency, 3}, {"balance loss of the step", balance, 3}});

  body +=
      "<h2>Validation while training</h2>\n<p>Mean over seeds; the bands are one standard deviation. Cut off above: "
      "the first fifth of "
      "the steps.</p>\n";
  body += validation_curves(groups);
  if (const group* const global = find_group(groups, "global", fewest)) {
    const std::string picture = difference_curves(groups, *global);
    if (!picture.empty())
      body += "<p>The same as differences to global with the same seed; the bands are 95 % intervals.</p>\n" + picture;
  }
  body += "<h2>By domain</h2>\n<p>Validation bits per byte, and the difference to global with the same seed.</p>\n" +
          domain_table(groups, any.domains);
  body += "<h2>By layer</h2>\n" + layer_table(groups, any.last().information.size());
  body += maps(groups);
  body += rank_table(all);
  body += settings_table(folder) + left_out(folder);
  return drawing::page("Headgate: balance pools", body, table_style);
}

std::string write_report(const std::filesystem::path& folder) {
  const run_folder runs = read_runs(folder);
  drawing::write_file(folder / "report.html", report_page(runs));
  return plain_tables(runs);
}

}  // namespace specialise
