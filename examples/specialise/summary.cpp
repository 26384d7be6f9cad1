// SPDX-License-Identifier: BSD-3-Clause
#include "summary.hpp"

#include <drawing/svg.hpp>

#include <algorithm>
#include <cmath>

namespace specialise {

namespace {

using drawing::text;

constexpr const char* plus_minus = " \xc2\xb1 ";

/// Columns as wide as their widest cell, the first to the left and the others to the right.
std::string aligned(const std::vector<std::vector<std::string>>& rows) {
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

std::string counted(std::size_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

double bits_per_byte(const logged_run& run) { return run.last().bpb; }

double information(const logged_run& run) {
  double sum = 0;
  for (const double layer : run.last().information) sum += layer;
  return sum / static_cast<double>(run.last().information.size());
}

double largest_frequency(const logged_run& run) { return *std::ranges::max_element(run.last().largest_frequency); }

double balance(const logged_run& run) { return run.balance; }

std::vector<group> groups_of(const std::vector<logged_run>& runs) {
  std::vector<group> groups;
  for (const logged_run& run : runs) {
    if (groups.empty() || groups.back().pool != run.pool || groups.back().ranks != run.ranks)
      groups.push_back({run.pool, run.ranks, {}});
    groups.back().runs.push_back(&run);
  }
  return groups;
}

const group* find_group(const std::vector<group>& groups, const std::string& pool, std::int64_t ranks) {
  const auto found = std::ranges::find_if(groups, [&](const group& g) { return g.pool == pool && g.ranks == ranks; });
  return found == groups.end() ? nullptr : &*found;
}

estimate estimate_of(const group& of, const figure& what) {
  std::vector<double> values;
  for (const logged_run* run : of.runs) values.push_back(what(*run));
  return estimate_of(values);
}

std::optional<paired_difference> compare(const group& of, const group& from, const figure& what) {
  std::vector<double> ours, theirs;
  for (const logged_run* run : of.runs)
    for (const logged_run* other : from.runs)
      if (other->seed == run->seed) {
        ours.push_back(what(*run));
        theirs.push_back(what(*other));
      }
  if (ours.empty()) return std::nullopt;
  return compare(ours, theirs);
}

std::string with_interval(const estimate& value, int digits, bool sign) {
  const bool is_zero = std::abs(value.mean) < 0.5 * std::pow(10, -digits);  // which would be shown as -0.000
  std::string s = text(sign ? "%+.*f" : "%.*f", digits, is_zero ? 0.0 : value.mean);
  if (value.has_interval()) s += plus_minus + text("%.*f", digits, value.half_width);
  return s;
}

std::string sentence_of(const paired_difference& difference, int digits, const std::string& unit) {
  const estimate& d = difference.difference;
  const std::string size = text("%.*f", digits, std::abs(d.mean)) + unit +
                           (d.mean == 0  ? " apart"
                            : d.mean < 0 ? " lower"
                                         : " higher");
  if (!d.has_interval()) return size + " (one seed: no interval)";
  const std::string p = difference.probability < 1e-4 ? "p < 0.0001" : text("p = %.*g", 2, difference.probability);
  const std::string basis =
      text("95 %% interval %+.*f to %+.*f, ", digits, d.mean - d.half_width, digits, d.mean + d.half_width) +
      counted(d.count, "seed") + ", " + p;
  if (d.differs_from_zero()) return size + " (" + basis + ")";
  return text("no difference seen: %+.*f", digits, d.mean) + unit + " (" + basis + ")";
}

std::string plain_tables(const run_folder& folder) {
  const std::vector<group> groups = groups_of(folder.runs);
  std::string s;
  if (!groups.empty()) {
    std::vector<std::vector<std::string>> rows{
        {"pool", "ranks", "seeds", "bits per byte", "deviation", "information", "largest frequency", "balance"}};
    for (const group& g : groups) {
      const estimate bpb = estimate_of(g, bits_per_byte);
      rows.push_back({g.pool, std::to_string(g.ranks), std::to_string(g.runs.size()), with_interval(bpb, 4),
                      bpb.has_interval() ? text("%.4f", bpb.deviation) : "-",
                      with_interval(estimate_of(g, information), 3),
                      with_interval(estimate_of(g, largest_frequency), 3), with_interval(estimate_of(g, balance), 3)});
    }
    s += "Validation of the last step, mean ± half of the 95 % interval over seeds\n" + aligned(rows);

    rows = {{"pool", "ranks"}};
    const std::size_t layers = folder.runs.front().last().information.size();
    for (std::size_t l = 0; l < layers; ++l) {
      rows[0].push_back(text("information %zu", l + 1));
      rows[0].push_back(text("frequency %zu", l + 1));
    }
    for (const group& g : groups) {
      rows.push_back({g.pool, std::to_string(g.ranks)});
      for (std::size_t l = 0; l < layers; ++l) {
        rows.back().push_back(
            with_interval(estimate_of(g, [l](const logged_run& run) { return run.last().information[l]; }), 3));
        rows.back().push_back(
            with_interval(estimate_of(g, [l](const logged_run& run) { return run.last().largest_frequency[l]; }), 3));
      }
    }
    s += "\nBy layer\n" + aligned(rows);

    // Against global on as many ranks, and against one rank with the same pool.
    const auto lines = [&](const std::string& title, const auto& reference_of) {
      std::string found;
      for (const group& g : groups) {
        const group* const reference = reference_of(g);
        if (reference == nullptr || reference == &g) continue;
        const std::string name = g.pool + ", " + counted(static_cast<std::size_t>(g.ranks), "rank");
        const auto bits = compare(g, *reference, bits_per_byte);
        if (!bits) {
          found += name + ": no seed in common\n";
          continue;
        }
        found += name + "\n  bits per byte      " + sentence_of(*bits, 4) +  //
                 "\n  information        " + sentence_of(*compare(g, *reference, information), 3) +
                 "\n  largest frequency  " + sentence_of(*compare(g, *reference, largest_frequency), 3) + "\n";
      }
      if (!found.empty()) s += "\n" + title + "\n" + found;
    };
    lines("Against global, same seeds and ranks",
          [&](const group& g) { return find_group(groups, "global", g.ranks); });
    lines("Against one rank, same pool and seeds", [&](const group& g) { return find_group(groups, g.pool, 1); });
  }
  if (!folder.skipped.empty()) s += std::string(s.empty() ? "" : "\n") + "Left out\n";
  for (const std::string& reason : folder.skipped) s += reason + "\n";
  return s;
}

}  // namespace specialise
