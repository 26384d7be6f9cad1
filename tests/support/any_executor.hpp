// SPDX-License-Identifier: BSD-3-Clause
// Any executor behind one type, so that kernels are compiled once for all that a test runs on.
#pragma once

#include <headgate/concepts/executor.hpp>
#include <headgate/config.hpp>
#include <headgate/parallel/sequential.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include "support/shuffled.hpp"

#include <functional>

namespace headgate_test {

/// Runs what the executor that it was made from runs; that one must outlive it.
class any_executor {
 public:
  template <hg::executor Executor>
  any_executor(const Executor& executor)
      : workers_(static_cast<hg::index>(executor.workers())),
        run_([&executor](hg::index tasks, const task& f) { executor.run(tasks, f); }) {}

  [[nodiscard]] hg::index workers() const { return workers_; }

  template <class F>
  void run(hg::index tasks, const F& f) const {
    run_(tasks, task(f));
  }

 private:
  using task = std::function<void(hg::index, hg::index)>;

  hg::index workers_;
  std::function<void(hg::index, const task&)> run_;
};

static_assert(hg::executor<any_executor>);

/// check(executor) for one thread, two, three, and tasks in random order.
template <class Check>
void for_each_executor(std::uint64_t seed, const Check& check) {
  static const hg::thread_pool two(2), three(3);
  const shuffled mixed{3, seed};
  check(any_executor(hg::run_sequentially));
  check(any_executor(two));
  check(any_executor(three));
  check(any_executor(mixed));
}

}  // namespace headgate_test
