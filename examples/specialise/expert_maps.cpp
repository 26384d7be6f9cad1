// SPDX-License-Identifier: BSD-3-Clause
#include "expert_maps.hpp"

#include <drawing/svg.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace specialise {

namespace {

using drawing::label, drawing::text, drawing::width;

/// Experts by the domain that gives them the largest share, within it the largest share first.
std::vector<std::size_t> by_main_domain(const std::vector<std::vector<double>>& shares) {
  const std::size_t experts = shares.front().size();
  std::vector<std::size_t> order(experts), main(experts);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t e = 0; e < experts; ++e)
    for (std::size_t d = 1; d < shares.size(); ++d)
      if (shares[d][e] > shares[main[e]][e]) main[e] = d;
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
    return main[a] != main[b] ? main[a] < main[b] : shares[main[a]][a] > shares[main[b]][b];
  });
  return order;
}

/// The logarithm of the share against the even one, 1 or -1 at full colour.
double strength_of(double over_even, double most) {
  return over_even > 0 ? std::clamp(std::log2(over_even) / std::log2(most), -1.0, 1.0) : -1.0;
}

}  // namespace

double most_over_even(const logged_run& run) {
  double most = 2;
  for (const domain_counts& layer : run.last().counts)
    for (const auto& row : shares_of(layer))
      most = (std::max)(most, *std::ranges::max_element(row) * static_cast<double>(run.experts));
  return most;
}

std::string expert_map_key(double most) {
  constexpr int cells = 13;  // an odd number: one is even
  constexpr double cell = 22, names = 74, height = 44;
  std::string s = drawing::open(height, "Colours of the maps");
  for (int i = 0; i < cells; ++i) s += drawing::heat_cell(names + cell * i, 2, cell, 19, 2.0 * i / (cells - 1) - 1);
  for (const double place : {-1.0, 0.0, 1.0})
    s += label(names + cell * cells / 2 + place * cell * (cells - 1) / 2, 38, "tick middle",
               place == 0 ? "even" : text("%.2g", std::pow(most, place)));
  return s + label(names + cell * cells + 12, 16, "tick", "times the even share") + "</svg>\n";
}

std::string expert_maps(const logged_run& run, double most) {
  constexpr double row = 19, head = 26, names = 74, gap = 20, foot = 6;
  const std::size_t layers = run.last().counts.size(), side = (std::min)(layers, std::size_t{2});
  const double map_width = (width - names - gap * static_cast<double>(side - 1)) / static_cast<double>(side);
  const double map_height = head + row * static_cast<double>(run.domains.size()) + foot;
  std::string s = drawing::open(map_height * static_cast<double>((layers + side - 1) / side), "Domain by expert");
  for (std::size_t l = 0; l < layers; ++l) {
    const auto shares = shares_of(run.last().counts[l]);
    const auto order = by_main_domain(shares);
    const double column = map_width / static_cast<double>(order.size());
    const double x0 = names + (map_width + gap) * static_cast<double>(l % side);
    const double y0 = map_height * static_cast<double>(l / side) + head;
    s += label(x0 + 1, y0 - 9, "tick",
               text("layer %zu: %.3f bits, largest share %.1f %%", l + 1, information_of(run.last().counts[l]),
                    100 * largest_frequency_of(run.last().counts[l])));
    for (std::size_t d = 0; d < shares.size(); ++d) {
      const double y = y0 + row * static_cast<double>(d);
      if (l % side == 0) s += label(names - 10, y + row / 2 + 4, "tick end", run.domains[d]);
      for (std::size_t c = 0; c < order.size(); ++c) {
        const double share = shares[d][order[c]];
        s += text("<g><title>%s, expert %zu: %.1f %%</title>", run.domains[d].c_str(), order[c], 100 * share);
        s += drawing::heat_cell(x0 + column * static_cast<double>(c), y, column, row,
                                strength_of(share * static_cast<double>(run.experts), most)) +
             "</g>\n";
      }
    }
  }
  return s + "</svg>\n";
}

}  // namespace specialise
