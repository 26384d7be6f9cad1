// SPDX-License-Identifier: BSD-3-Clause
// Any executor behind one type: what is compiled for it runs on all of them.
#pragma once

#include <headgate/concepts/executor.hpp>
#include <headgate/config.hpp>

#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Refers to an executor, which must outlive it. A task costs one more indirect call.
class executor_ref {
 public:
  template <executor Executor>
    requires(!std::same_as<Executor, executor_ref>)
  executor_ref(const Executor& executor)
      : object_(&executor), workers_(&workers_of<Executor>), run_(&run_on<Executor>) {}

  [[nodiscard]] index workers() const { return workers_(object_); }  // asked anew: OpenMP's may change

  template <class F>
  void run(index tasks, const F& f) const {
    run_(object_, tasks, {&f, [](const void* callable, index task, index worker) {
                            (*static_cast<const F*>(callable))(task, worker);
                          }});
  }

 private:
  struct work {
    const void* callable;
    void (*call)(const void*, index, index);
  };

  template <class Executor>
  static index workers_of(const void* object) {
    return static_cast<index>(static_cast<const Executor*>(object)->workers());
  }
  template <class Executor>
  static void run_on(const void* object, index tasks, work w) {
    static_cast<const Executor*>(object)->run(tasks,
                                              [w](index task, index worker) { w.call(w.callable, task, worker); });
  }

  const void* object_;
  index (*workers_)(const void*);
  void (*run_)(const void*, index, work);
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
