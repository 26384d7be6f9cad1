// SPDX-License-Identifier: BSD-3-Clause
// What a run reports: plain data, as it goes into the log.
#pragma once

#include "settings.hpp"

#include <vector>

namespace specialise {

/// One step. Balance values are without their weight, one a layer: E sum_i f_i P_i over the whole step, and the mean of the
/// micro-batches' own.
struct step_record {
  index step = 0;  // from 1
  double train_bpb = 0;
  std::vector<double> balance;
  std::vector<double> micro_balance;
};

/// The assignments of the validation text in one layer, (domains x experts).
using domain_counts = std::vector<std::vector<index>>;

/// The other figures of a validation follow from these.
struct validation_record {
  index step = 0;
  std::vector<double> bpb_by_domain;
  std::vector<domain_counts> counts;  // (layers)

  /// Bits per byte, the domains weighing the same.
  [[nodiscard]] double bpb() const;
};

/// The share of each domain's assignments that each expert gets, (domains x experts); zeros for a domain without any.
[[nodiscard]] std::vector<std::vector<double>> shares_of(const domain_counts& counts);

/// Bits of I(domain; expert), the domains weighing the same.
[[nodiscard]] double information_of(const domain_counts& counts);

/// The largest share of a domain's assignments that one expert gets.
[[nodiscard]] double largest_frequency_of(const domain_counts& counts);

}  // namespace specialise
