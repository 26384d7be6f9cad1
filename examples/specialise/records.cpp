// SPDX-License-Identifier: BSD-3-Clause
#include "records.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace specialise {

double validation_record::bpb() const {
  double mean = 0;
  for (const double bits : bpb_by_domain) mean += bits / static_cast<double>(bpb_by_domain.size());
  return mean;
}

std::vector<std::vector<double>> shares_of(const domain_counts& counts) {
  std::vector<std::vector<double>> shares;
  for (const std::vector<index>& row : counts) {
    const index total = std::accumulate(row.begin(), row.end(), index{0});
    std::vector<double>& own = shares.emplace_back();
    for (const index count : row)
      own.push_back(static_cast<double>(count) / static_cast<double>(std::max(total, index{1})));
  }
  return shares;
}

double information_of(const domain_counts& counts) {
  const auto shares = shares_of(counts);
  const auto domains = static_cast<double>(shares.size());
  std::vector<double> mean(shares.front().size());
  for (const auto& row : shares)
    for (std::size_t e = 0; e < row.size(); ++e) mean[e] += row[e] / domains;
  double bits = 0;
  for (const auto& row : shares)
    for (std::size_t e = 0; e < row.size(); ++e)
      if (row[e] > 0) bits += row[e] / domains * std::log2(row[e] / mean[e]);
  return bits;
}

double largest_frequency_of(const domain_counts& counts) {
  double largest = 0;
  for (const auto& row : shares_of(counts)) largest = std::max(largest, *std::max_element(row.begin(), row.end()));
  return largest;
}

}  // namespace specialise
