// SPDX-License-Identifier: BSD-3-Clause
// An executor on OpenMP's threads. The only header that needs -fopenmp.
#pragma once

#if !defined(_OPENMP)
#error "headgate: parallel/openmp.hpp needs OpenMP: compile with -fopenmp, or use parallel/thread_pool.hpp"
#endif

#include <headgate/concepts/executor.hpp>
#include <headgate/config.hpp>

#include <omp.h>

#include <algorithm>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Hands tasks out one by one to a team of OpenMP threads, the calling thread among them.
struct openmp {
  int threads = 0;  ///< 0 or less: as many as OpenMP would use (OMP_NUM_THREADS, omp_set_num_threads)

  [[nodiscard]] index workers() const { return threads > 0 ? threads : omp_get_max_threads(); }

  /// As `executor` says; f must not throw. The team never exceeds the tasks, and one task wakes nobody.
  template <class F>
  void run(index tasks, const F& f) const {
    const int team = static_cast<int>((std::min)(workers(), tasks));
    if (team <= 1) {
      for (index task = 0; task < tasks; ++task) f(task, index{0});
      return;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(team)
    for (index task = 0; task < tasks; ++task) f(task, static_cast<index>(omp_get_thread_num()));
  }
};

static_assert(executor<openmp>);

}  // namespace HEADGATE_ABI
}  // namespace headgate
