// SPDX-License-Identifier: BSD-3-Clause
// Who runs the tasks of a kernel: the calling thread, OpenMP, or the user's own pool.
#pragma once

#include <headgate/config.hpp>

#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {
struct any_task {
  void operator()(index /*task*/, index /*worker*/) const {}
};
}  // namespace detail

/// An executor has `workers()` threads and `run(tasks, f)`: it calls f(task, worker) once for each task in [0, tasks),
/// with 0 <= worker < workers() and no two calls at the same time sharing a worker, and returns when all are done. The
/// order of tasks and the choice of workers are free: no result depends on them. f does not throw.
///
/// Models: `sequential`, `openmp`, `thread_pool`. Not a model: anything that returns before its tasks are done.
template <class E>
concept executor = requires(const E& e, index tasks, const detail::any_task& f) {
  { e.workers() } -> std::convertible_to<index>;
  e.run(tasks, f);
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
