// SPDX-License-Identifier: BSD-3-Clause
// Threads as communicator_checks.hpp takes ranks.
#pragma once

#include <headgate/communicators/thread_ranks.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace headgate_test {

struct thread_group {
  headgate::index ranks;
  [[nodiscard]] headgate::index size() const { return ranks; }

  template <class F>
  auto operator()(double time_out, const F& f) const {
    std::vector<std::pair<headgate::index, std::string>> all(static_cast<std::size_t>(ranks));
    headgate::run_thread_ranks(ranks, {.time_out = time_out}, [&](headgate::thread_rank& rank) {
      all[static_cast<std::size_t>(rank.rank())] = {rank.rank(), f(rank)};
    });
    return all;
  }
};

}  // namespace headgate_test
