// SPDX-License-Identifier: BSD-3-Clause
// Checks that ranks make, on threads; Catch's macros are for the caller's thread alone.
#pragma once

#include <headgate/communicators/thread_ranks.hpp>

#include "support/expert_parallel_checks.hpp"

#include <string>
#include <vector>

namespace headgate_test {

/// What check(rank) complains of, for all ranks.
template <class Check>
std::string on_threads(hg::index ranks, const Check& check) {
  std::vector<std::string> wrong(static_cast<std::size_t>(ranks));
  hg::run_thread_ranks(ranks, {.time_out = 20},
                       [&](hg::thread_rank& rank) { wrong[static_cast<std::size_t>(rank.rank())] = check(rank); });
  std::string all;
  for (std::size_t r = 0; r < wrong.size(); ++r)
    if (!wrong[r].empty()) all += "rank " + std::to_string(r) + ", " + wrong[r];
  return all;
}

/// A layer on 1, 2, 3 and 4 ranks, with every placement and every share of the tokens.
template <class Layer>
void check_placements_on_threads(const Layer& layer) {
  for (hg::index ranks = 1; ranks <= 4; ++ranks) {
    CAPTURE(ranks);
    CHECK(on_threads(ranks, [&](hg::thread_rank& rank) { return check_every_placement(rank, layer); }) == "");
  }
}

}  // namespace headgate_test
