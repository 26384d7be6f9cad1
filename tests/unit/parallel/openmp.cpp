// SPDX-License-Identifier: BSD-3-Clause
#if defined(_OPENMP)
#include <headgate/parallel/openmp.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace hg = headgate;

static_assert(hg::executor<hg::openmp>);

TEST_CASE("openmp runs each task once, for any number of threads and tasks", "[parallel][openmp]") {
  for (const int threads : {0, 1, 2, 5}) {
    const hg::openmp executor{.threads = threads};
    for (const hg::index tasks : {0, 1, 2, 4, 300}) {
      std::vector<int> runs(static_cast<std::size_t>(tasks), 0);
      executor.run(tasks, [&](hg::index task, hg::index) { ++runs[static_cast<std::size_t>(task)]; });
      CAPTURE(threads, tasks);
      CHECK(runs == std::vector<int>(static_cast<std::size_t>(tasks), 1));
    }
  }
}

TEST_CASE("openmp never lets two tasks share a worker at the same time", "[parallel][openmp]") {
  const hg::openmp executor{.threads = 4};
  std::vector<std::atomic<int>> busy(4);
  std::atomic<int> collisions{0}, outside{0};
  executor.run(40, [&](hg::index, hg::index worker) {
    if (worker < 0 || worker >= 4) {
      ++outside;
      return;
    }
    auto& mine = busy[static_cast<std::size_t>(worker)];
    if (mine.fetch_add(1) != 0) ++collisions;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // so that the threads do overlap
    mine.fetch_sub(1);
  });
  CHECK(collisions == 0);
  CHECK(outside == 0);
}

TEST_CASE("openmp has as many workers as asked for, or as OpenMP would use", "[parallel][openmp]") {
  CHECK(hg::openmp{.threads = 7}.workers() == 7);
  CHECK(hg::openmp{}.workers() == omp_get_max_threads());
  CHECK(hg::openmp{}.workers() >= 1);
}
#endif
