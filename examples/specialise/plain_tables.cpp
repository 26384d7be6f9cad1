// SPDX-License-Identifier: BSD-3-Clause
#include "plain_tables.hpp"

#include "summary.hpp"

#include <drawing/svg.hpp>

#include <algorithm>

namespace specialise {

namespace {

using drawing::text;
using rows_of_cells = std::vector<std::vector<std::string>>;

/// Columns as wide as their widest cell, the first to the left and the others to the right.
std::string aligned(const rows_of_cells& rows) {
  // A character of UTF-8 is one column here: what follows its first byte is not counted.
  const auto columns = [](const std::string& cell) {
    return static_cast<std::size_t>(
        std::count_if(cell.begin(), cell.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
  };
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], columns(row[c]));
  std::string s;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string space(widths[c] - columns(row[c]), ' ');
      line += c == 0 ? row[c] + space : "  " + space + row[c];
    }
    s += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return s;
}

std::string estimate_cell(const group& g, const named_figure& what) {
  return with_interval(estimate_of(g, what), what.digits);
}

std::string by_pool_table(const std::vector<group>& groups) {
  rows_of_cells rows{{"pool", "ranks", "seeds", bits_per_byte.name, "deviation"}};
  for (const named_figure& what : figures_of_use()) rows[0].push_back(what.name);
  for (const group& g : groups) {
    const estimate bits = estimate_of(g, bits_per_byte);
    rows.push_back({g.pool, std::to_string(g.ranks), std::to_string(g.runs.size()), estimate_cell(g, bits_per_byte),
                    bits.has_interval() ? text("%.*f", bits_per_byte.digits, bits.deviation) : "-"});
    for (const named_figure& what : figures_of_use()) rows.back().push_back(estimate_cell(g, what));
  }
  return aligned(rows);
}

std::string layer_table(const std::vector<group>& groups) {
  rows_of_cells rows{{"pool", "ranks"}};
  const std::size_t layers = groups.front().runs.front()->last().counts.size();
  for (std::size_t l = 0; l < layers; ++l)
    for (const named_figure& what : layer_figures(l)) rows[0].push_back(text("%s %zu", what.name, l + 1));
  for (const group& g : groups) {
    rows.push_back({g.pool, std::to_string(g.ranks)});
    for (std::size_t l = 0; l < layers; ++l)
      for (const named_figure& what : layer_figures(l)) rows.back().push_back(estimate_cell(g, what));
  }
  return aligned(rows);
}

/// The loss by weight of the balance loss, each pool against the global one of the same weight.
std::string weight_table(const std::vector<group>& groups) {
  const std::vector<named_figure> more{information, balance, penalty};
  rows_of_cells rows{{"weight", "pool", "seeds", bits_per_byte.name, "against global"}};
  for (const named_figure& what : more) rows[0].push_back(what.name);
  for (const group& g : groups) {
    const group* const global = global_of(groups, g);
    const auto bits = global == nullptr || global == &g ? std::nullopt : compare(g, *global, bits_per_byte);
    rows.push_back({text("%g", g.weight), g.pool, std::to_string(g.runs.size()), estimate_cell(g, bits_per_byte),
                    bits ? with_interval(bits->difference, bits_per_byte.digits, true) : "-"});
    for (const named_figure& what : more) rows.back().push_back(estimate_cell(g, what));
  }
  return aligned(rows);
}

/// Each group against the one that `reference_of` names.
template <class ReferenceOf>
std::string comparisons(const std::vector<group>& groups, const std::string& title, const ReferenceOf& reference_of) {
  std::string found;
  for (const group& g : groups) {
    const group* const reference = reference_of(g);
    if (reference == nullptr || reference == &g) continue;
    const std::string name = g.pool + ", " + counted(static_cast<std::size_t>(g.ranks), "rank");
    if (!compare(g, *reference, bits_per_byte)) {
      found += name + ": no seed in common\n";
      continue;
    }
    found += name + "\n";
    for (const named_figure& what : compared_figures())
      found += text("  %-17s  ", what.name) + sentence_of(*compare(g, *reference, what), what.digits) + "\n";
  }
  return found.empty() ? "" : "\n" + title + "\n" + found;
}

}  // namespace

std::string plain_tables(const run_folder& folder) {
  const std::vector<group> all = groups_of(folder.runs);
  std::string s;
  if (!all.empty()) {
    const std::vector<group> groups = of_main_weight(all);
    s += text("Weight %g of the balance loss\n", groups.front().weight) +
         "Validation of the last step, mean ± half of the 95 % interval over seeds\n" + by_pool_table(groups);
    s += "\nBy layer\n" + layer_table(groups);
    s += comparisons(groups, "Against global, same seeds and ranks",
                     [&](const group& g) { return global_of(groups, g); });
    s += comparisons(groups, "Against one rank, same pool and seeds", [&](const group& g) {
      // `buffer` on more ranks is another pool: that of more micro-batches at each moment.
      return g.pool == "buffer" ? nullptr : find_group(groups, g.weight, g.pool, 1);
    });
    if (has_weights(all))
      s += "\nBy weight of the balance loss, against global of the same weight and seeds\n" +
           weight_table(of_fewest_ranks(all));
  }
  if (!folder.skipped.empty()) s += std::string(s.empty() ? "" : "\n") + "Left out\n";
  for (const std::string& reason : folder.skipped) s += reason + "\n";
  return s;
}

}  // namespace specialise
