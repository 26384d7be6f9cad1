// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include "expert_maps.hpp"
#include "html_tables.hpp"
#include "pictures.hpp"
#include "plain_tables.hpp"
#include "summary.hpp"

#include <drawing/page.hpp>
#include <drawing/svg.hpp>

#include <algorithm>
#include <cmath>

namespace specialise {

namespace {

using drawing::text;

constexpr const char* title = "Headgate: balance pools";

std::string introduction(const logged_run& any) {
  return text(
      "<p>A language model over bytes, with %lld of %lld experts for each byte in each of its %lld layers, learns from "
      "%zu kinds of text, one kind a sequence. The balance loss asks that experts be used evenly over a <i>pool</i>: "
      "one "
      "micro-batch, several, or all of an optimizer step (<i>global</i>). A small pool forbids an expert to prefer a "
      "kind of text. <i>shuffled</i> is as small as a micro-batch, but drawn from the whole step.</p>\n",
      static_cast<long long>(any.k), static_cast<long long>(any.experts), static_cast<long long>(any.layers),
      any.domains.size());
}

std::string explanation(const logged_run& any) {
  return text(
      "<p>Validation at step %lld with weight %g of the balance loss, mean ± half of the 95 %% confidence interval "
      "over "
      "seeds (Student's t). <i>Against global</i>: the mean of the differences to the global pool with the same seed. "
      "<i>Information</i>: between domain and expert, mean of the layers, at most %.2f bits. <i>Largest frequency</i>: "
      "the largest share of a domain's assignments that one expert has, %.3f if even. <i>Balance</i>: the loss over "
      "the "
      "whole step, unweighted, 1 if even; the last tenth of training. <i>Penalty</i>: how much more the loss would be "
      "if "
      "every micro-batch were counted by itself, which is what specialised experts would pay; some of it is chance, as "
      "a "
      "micro-batch has few bytes.</p>\n",
      static_cast<long long>(any.steps), any.weight, std::log2(static_cast<double>(any.domains.size())),
      1.0 / static_cast<double>(any.experts));
}

std::string by_pool_section(const std::vector<group>& groups) {
  std::string s = "<h2>By pool</h2>\n<p>Each dot is a seed; the bars are means with their 95 % intervals.</p>\n";
  const panel bits = panel_of(bits_per_byte);
  const panel difference = panel_against_global(groups, bits_per_byte);
  const bool compares = std::ranges::any_of(groups, [&](const group& g) { return !difference.values(g).empty(); });
  s += compares ? by_pool(groups, {difference, bits}) : by_pool(groups, {bits});
  s += by_pool(groups, {panel_of(information), panel_of(largest_frequency)});
  return s + by_pool(groups, {panel_of(balance), panel_of(penalty)});
}

std::string training_section(const std::vector<group>& groups) {
  std::string s =
      "<h2>Validation while training</h2>\n<p>Mean over seeds; the bands are one standard deviation. Cut off above: "
      "the first fifth of the steps.</p>\n" +
      validation_curves(groups);
  const auto global = std::ranges::find(groups, std::string("global"), &group::pool);
  const std::string differences = global == groups.end() ? "" : difference_curves(groups, *global);
  if (differences.empty()) return s;
  return s + "<p>The same as differences to global with the same seed; the bands are 95 % intervals.</p>\n" +
         differences;
}

std::string maps(const std::vector<group>& groups) {
  double most = 0;
  for (const group& g : groups) most = (std::max)(most, most_over_even(*g.runs.front()));
  std::string s = text(
      "<h2>Who reads which domain</h2>\n<p>Share of a domain's assignments that each expert gets, against the even "
      "share of %.1f %%: one row a domain, one column an expert, experts in the order of the domain that uses them "
      "most. A pale map is of experts that prefer no domain. One run of each pool, its lowest seed.</p>\n",
      100.0 / static_cast<double>(groups.front().runs.front()->experts));
  s += expert_map_key(most);
  for (const group& g : groups)
    s += "<p class=\"name\">" + g.pool + ", seed " + std::to_string(g.runs.front()->seed) + "</p>\n" +
         expert_maps(*g.runs.front(), most);
  return s;
}

std::string weight_section(const std::vector<group>& groups) {
  if (!has_weights(groups)) return "";
  std::vector<group> two;  // more would be too narrow to name
  std::ranges::copy_if(groups, std::back_inserter(two),
                       [](const group& g) { return g.pool == "micro" || g.pool == "global"; });
  std::string s =
      "<h2>By weight of the balance loss</h2>\n<p>Each pool against the global one of the same weight and seeds; all "
      "other sections are of the weight that most runs have.</p>\n" +
      pool_table(groups, true);
  if (two.empty()) return s;
  return s + by_pool(two, {panel_of(bits_per_byte), panel_of(information)}, true);
}

std::string titled(const char* heading, const std::string& what) {
  return what.empty() ? "" : std::string("<h2>") + heading + "</h2>\n" + what;
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
    return drawing::page(title, body, table_style());
  }
  const std::vector<group> every = groups_of(folder.runs), all = of_main_weight(every);
  const std::vector<group> groups = of_fewest_ranks(all);  // what all but the tables of ranks and weights are about
  const logged_run& any = *groups.front().runs.front();

  body += introduction(any) + pool_table(groups) + explanation(any);
  const std::string differences = difference_table(groups);
  if (!differences.empty())
    body +=
        "<h2>Against global</h2>\n<p>95 % intervals of the mean difference to the global pool with the same seed: "
        "higher or lower if they leave out zero. p: how likely so large a mean is by chance.</p>\n" +
        differences;
  body += by_pool_section(groups) + maps(groups);
  body += titled("By layer", "<p>Mean ± half of the 95 % interval over seeds.</p>\n" + layer_table(groups));
  body += titled("By domain", "<p>Validation bits per byte, and the difference to global with the same seed.</p>\n" +
                                  domain_table(groups, any.domains));
  body += training_section(groups);
  body += weight_section(of_fewest_ranks(every));
  const std::string ranks = rank_table(all);
  if (!ranks.empty())
    body +=
        "<h2>More ranks</h2>\n<p>The same steps shared by data-parallel ranks. Bits per byte and information are means "
        "over all seeds of their row; <i>against one rank</i> is the mean of the differences over the seeds that both "
        "have, which need not be the difference of the two means.</p>\n" +
        ranks;
  body += titled("Settings and data", settings_table(folder)) + left_out(folder);
  return drawing::page(title, body, table_style());
}

std::string write_report(const std::vector<std::filesystem::path>& folders) {
  const run_folder runs = read_runs(folders);
  drawing::write_file(folders.front() / "report.html", report_page(runs));
  return plain_tables(runs);
}

}  // namespace specialise
