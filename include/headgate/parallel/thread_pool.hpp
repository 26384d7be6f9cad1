// SPDX-License-Identifier: BSD-3-Clause
// An executor on threads of its own, which sleep between runs.
#pragma once

#include <headgate/concepts/executor.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace headgate {
inline namespace HEADGATE_ABI {

/// `threads` workers: the caller of `run` (worker 0) and threads - 1 helpers, created once.
///
/// A helper that wakes up late finds the run closed and goes back to sleep; `run` waits only for those that joined it, so
/// a busy machine delays nobody. Runs of several callers take turns. A task that calls `run` of its own pool does that
/// inner run alone; two pools must not be nested in a circle (a in b in a). f must not throw: an exception ends the
/// program. `run` does not allocate.
class thread_pool {
 public:
  // Delegates, so that the destructor ends the helpers that have started if another cannot.
  explicit thread_pool(index threads) : thread_pool() {
    if (threads < 1) refuse("thread_pool: threads is ", threads, ", it must be at least 1");
    helpers_.reserve(static_cast<std::size_t>(threads - 1));
    for (index worker = 1; worker < threads; ++worker) helpers_.emplace_back([this, worker] { help(worker); });
  }
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;
  ~thread_pool() {
    ending_.store(true, std::memory_order_relaxed);
    announce(workers() - 1);
    for (std::thread& helper : helpers_) helper.join();
  }

  [[nodiscard]] index workers() const { return static_cast<index>(helpers_.size()) + 1; }

  /// As `executor` says.
  template <class F>
  void run(index tasks, const F& f) const {
    if (tasks <= 1 || helpers_.empty() || inside_ == this) {
      for (index task = 0; task < tasks; ++task) call<F>(&f, task, 0);
      return;
    }
    const std::lock_guard turn(turn_);
    call_ = &call<F>;
    function_ = &f;
    tasks_ = tasks;
    next_.store(0, std::memory_order_relaxed);
    joined_.store(0, std::memory_order_release);  // opens the run
    announce(tasks - 1);
    work(0);
    close();
  }

 private:
  static constexpr std::int32_t closed = -(1 << 30);  ///< joined_ is negative while no helper may join
  static constexpr int spins = 64;                    ///< looks before sleeping; each lets other threads run

  thread_pool() = default;

  template <class F>
  static void call(const void* function, index task, index worker) noexcept {
    (*static_cast<const F*>(function))(task, worker);
  }

  /// Takes tasks until none is left.
  void work(index worker) const {
    const thread_pool* const outer = inside_;
    inside_ = this;
    while (true) {
      const index task = next_.fetch_add(1, std::memory_order_relaxed);
      if (task >= tasks_) break;
      call_(function_, task, worker);
    }
    inside_ = outer;
  }

  /// Tells up to `count` sleeping helpers that there is something new.
  void announce(index count) const {
    news_.fetch_add(1, std::memory_order_release);
    if (count >= workers() - 1)
      news_.notify_all();
    else
      for (index i = 0; i < count; ++i) news_.notify_one();
  }

  /// Ends the run: nobody may join any more, and those who did have left.
  void close() const {
    std::int32_t state = joined_.fetch_add(closed, std::memory_order_acq_rel) + closed;
    for (int i = 0; state != closed && i < spins; ++i) {
      std::this_thread::yield();
      state = joined_.load(std::memory_order_acquire);
    }
    while (state != closed) {
      joined_.wait(state, std::memory_order_acquire);
      state = joined_.load(std::memory_order_acquire);
    }
  }

  [[nodiscard]] bool join_run() const {
    std::int32_t state = joined_.load(std::memory_order_relaxed);
    while (state >= 0)
      if (joined_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel, std::memory_order_relaxed))
        return true;
    return false;
  }

  void leave_run() const {
    if (joined_.fetch_sub(1, std::memory_order_acq_rel) == closed + 1) joined_.notify_one();
  }

  /// What a helper does all its life.
  void help(index worker) const {
    std::uint32_t seen = 0;
    while (true) {
      for (int i = 0; i < spins && news_.load(std::memory_order_acquire) == seen; ++i) std::this_thread::yield();
      news_.wait(seen, std::memory_order_acquire);
      seen = news_.load(std::memory_order_acquire);
      if (ending_.load(std::memory_order_relaxed)) return;
      if (join_run()) {
        work(worker);
        leave_run();
      }
    }
  }

  // The run under way. Written while the run is closed, by the caller whose turn it is; read by those who joined.
  mutable void (*call_)(const void*, index, index) = nullptr;
  mutable const void* function_ = nullptr;
  mutable index tasks_ = 0;

  // Each on a cache line of its own: they are written by all threads.
  alignas(64) mutable std::atomic<index> next_{0};                ///< the next task to take
  alignas(64) mutable std::atomic<std::int32_t> joined_{closed};  ///< helpers in the run, plus `closed` if it is closed
  alignas(64) mutable std::atomic<std::uint32_t> news_{0};        ///< counts runs; helpers sleep on it
  std::atomic<bool> ending_{false};

  mutable std::mutex turn_;
  std::vector<std::thread> helpers_;

  static inline thread_local const thread_pool* inside_ = nullptr;  ///< the pool whose task this thread is running
};

static_assert(executor<thread_pool>);

}  // namespace HEADGATE_ABI
}  // namespace headgate
