// SPDX-License-Identifier: BSD-3-Clause
// An executor that is allowed by the concept and looks for trouble: tasks in random order, workers in random turns.
#pragma once

#include <headgate/concepts/executor.hpp>

#include "support/kernel_checks.hpp"

#include <utility>
#include <vector>

namespace headgate_test {

/// Runs the tasks on the calling thread in an order that `seed` picks, each as a worker that `seed` picks.
struct shuffled {
  hg::index threads = 3;
  std::uint64_t seed = 1;

  [[nodiscard]] hg::index workers() const { return threads; }

  template <class F>
  void run(hg::index tasks, const F& f) const {
    numbers next(seed);
    std::vector<hg::index> order(static_cast<std::size_t>(tasks));
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<hg::index>(i);
    for (std::size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[static_cast<std::size_t>(next.below(static_cast<hg::index>(i)))]);
    for (const hg::index task : order) f(task, next.below(threads));
  }
};

static_assert(hg::executor<shuffled>);

}  // namespace headgate_test
