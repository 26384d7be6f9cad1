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

struct validation_record {
  index step = 0;
  double bpb = 0;  // mean of the domains
  std::vector<double> bpb_by_domain;
  std::vector<double> information;        // bits of I(domain; expert), one a layer, the domains weighing the same
  std::vector<double> largest_frequency;  // largest share of a domain's assignments, one a layer
  std::vector<std::vector<std::vector<index>>> counts;  // [layer][domain][expert]
};

/// Bits of I(domain; expert) of counts (domains x experts), the domains weighing the same.
[[nodiscard]] double information_of(const std::vector<std::vector<index>>& counts);

/// The largest share of a domain's assignments that one expert gets.
[[nodiscard]] double largest_frequency_of(const std::vector<std::vector<index>>& counts);

}  // namespace specialise
