// SPDX-License-Identifier: BSD-3-Clause
#include "summary.hpp"

#include <drawing/svg.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace specialise {

namespace {

using drawing::text;

constexpr const char* plus_minus = " \xc2\xb1 ";

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

std::string counted(std::size_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

const named_figure bits_per_byte{"bits per byte", "bits per byte", 4,
                                 [](const logged_run& run) { return run.last().bpb(); }};

const named_figure information{"information", "information between domain and expert, bits", 3,
                               [](const logged_run& run) {
                                 std::vector<double> of_layers;
                                 for (const domain_counts& layer : run.last().counts)
                                   of_layers.push_back(information_of(layer));
                                 return mean_of(of_layers);
                               }};

const named_figure largest_frequency{"largest frequency", "largest frequency", 3, [](const logged_run& run) {
                                       double largest = 0;
                                       for (const domain_counts& layer : run.last().counts)
                                         largest = (std::max)(largest, largest_frequency_of(layer));
                                       return largest;
                                     }};

const named_figure balance{"balance", "balance loss of the step, 1 if even", 3,
                           [](const logged_run& run) { return mean_of(run.balance); }};

const named_figure penalty{"penalty", "penalty of a micro-batch loss", 3,
                           [](const logged_run& run) { return mean_of(run.micro_balance) - mean_of(run.balance); }};

std::vector<named_figure> figures_of_use() { return {information, largest_frequency, balance, penalty}; }

std::vector<named_figure> compared_figures() { return {bits_per_byte, information, largest_frequency, penalty}; }

std::vector<named_figure> layer_figures(std::size_t layer) {
  std::vector<named_figure> figures{information, largest_frequency, penalty};
  figures[0].what = [layer](const logged_run& run) { return information_of(run.last().counts[layer]); };
  figures[1].what = [layer](const logged_run& run) { return largest_frequency_of(run.last().counts[layer]); };
  figures[2].what = [layer](const logged_run& run) { return run.micro_balance[layer] - run.balance[layer]; };
  return figures;
}

std::vector<group> groups_of(const std::vector<logged_run>& runs) {
  std::vector<group> groups;
  for (const logged_run& run : runs) {
    if (groups.empty() || groups.back().weight != run.weight || groups.back().pool != run.pool ||
        groups.back().ranks != run.ranks)
      groups.push_back({run.weight, run.pool, run.ranks, {}});
    groups.back().runs.push_back(&run);
  }
  return groups;
}

const group* find_group(const std::vector<group>& groups, double weight, const std::string& pool, std::int64_t ranks) {
  const auto found = std::ranges::find_if(
      groups, [&](const group& g) { return g.weight == weight && g.pool == pool && g.ranks == ranks; });
  return found == groups.end() ? nullptr : &*found;
}

const group* global_of(const std::vector<group>& groups, const group& like) {
  return find_group(groups, like.weight, "global", like.ranks);
}

std::vector<group> of_main_weight(const std::vector<group>& groups) {
  std::map<double, std::size_t> runs;
  for (const group& g : groups) runs[g.weight] += g.runs.size();
  const double main = std::ranges::max_element(runs, {}, [](const auto& one) { return one.second; })->first;
  std::vector<group> some;
  std::ranges::copy_if(groups, std::back_inserter(some), [&](const group& g) { return g.weight == main; });
  return some;
}

std::vector<group> of_fewest_ranks(const std::vector<group>& groups) {
  const std::int64_t fewest = std::ranges::min(groups, {}, &group::ranks).ranks;
  std::vector<group> some;
  std::ranges::copy_if(groups, std::back_inserter(some), [&](const group& g) { return g.ranks == fewest; });
  return some;
}

bool has_weights(const std::vector<group>& groups) {
  return std::ranges::any_of(groups, [&](const group& g) { return g.weight != groups.front().weight; });
}

std::vector<seed_value> values_of(const group& of, const figure& what) {
  std::vector<seed_value> values;
  for (const logged_run* run : of.runs) values.push_back({run->seed, what(*run)});
  return values;
}

std::vector<seed_value> differences_of(const group& of, const group& from, const figure& what) {
  std::vector<seed_value> differences;
  for (const seed_value& one : values_of(of, what))
    for (const seed_value& other : values_of(from, what))
      if (other.seed == one.seed) differences.push_back({one.seed, one.value - other.value});
  return differences;
}

estimate estimate_of(const std::vector<seed_value>& values) {
  std::vector<double> numbers;
  for (const seed_value& one : values) numbers.push_back(one.value);
  return estimate_of(numbers);
}

estimate estimate_of(const group& of, const figure& what) { return estimate_of(values_of(of, what)); }

std::optional<paired_difference> compare(const group& of, const group& from, const figure& what) {
  std::vector<double> differences;
  for (const seed_value& one : differences_of(of, from, what)) differences.push_back(one.value);
  if (differences.empty()) return std::nullopt;
  return paired_difference_of(differences);
}

std::string with_interval(const estimate& value, int digits, bool sign) {
  const bool is_zero = std::abs(value.mean) < 0.5 * std::pow(10, -digits);  // which would be shown as -0.000
  std::string s = text(sign ? "%+.*f" : "%.*f", digits, is_zero ? 0.0 : value.mean);
  if (value.has_interval()) s += plus_minus + text("%.*f", digits, value.half_width);
  return s;
}

std::string probability_of(const paired_difference& difference) {
  return difference.probability < 1e-4 ? "p < 0.0001" : text("p = %.*g", 2, difference.probability);
}

std::string sentence_of(const paired_difference& difference, int digits, const std::string& unit) {
  const estimate& d = difference.difference;
  const std::string size = text("%.*f", digits, std::abs(d.mean)) + unit +
                           (d.mean == 0  ? " apart"
                            : d.mean < 0 ? " lower"
                                         : " higher");
  if (!d.has_interval()) return size + " (one seed: no interval)";
  const std::string basis =
      text("95 %% interval %+.*f to %+.*f, ", digits, d.mean - d.half_width, digits, d.mean + d.half_width) +
      counted(d.count, "seed") + ", " + probability_of(difference);
  if (d.differs_from_zero()) return size + " (" + basis + ")";
  return text("no difference seen: %+.*f", digits, d.mean) + unit + " (" + basis + ")";
}

}  // namespace specialise
