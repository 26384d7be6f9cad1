// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/parallel/thread_pool.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace hg = headgate;

static_assert(hg::executor<hg::thread_pool>);
static_assert(!std::is_copy_constructible_v<hg::thread_pool> && !std::is_move_constructible_v<hg::thread_pool>);

namespace {

/// Runs tasks and counts, with plain integers, how often each ran: a race or a missing synchronisation is a data race here.
bool each_once(const hg::thread_pool& pool, hg::index tasks) {
  std::vector<int> runs(static_cast<std::size_t>(tasks), 0);
  pool.run(tasks, [&](hg::index task, hg::index) { ++runs[static_cast<std::size_t>(task)]; });
  for (const int count : runs)
    if (count != 1) return false;
  return true;
}

}  // namespace

TEST_CASE("thread_pool runs each task once and has finished when run returns", "[parallel][thread_pool]") {
  for (const hg::index threads : {1, 2, 3, 8}) {
    const hg::thread_pool pool(threads);
    CHECK(pool.workers() == threads);
    for (const hg::index tasks : {0, 1, 2, 3, 7, 8, 100, 1000}) {
      CAPTURE(threads, tasks);
      CHECK(each_once(pool, tasks));
    }
  }
}

TEST_CASE("thread_pool never lets two tasks share a worker at the same time", "[parallel][thread_pool]") {
  const hg::thread_pool pool(4);
  std::vector<std::atomic<int>> busy(4);
  std::atomic<int> collisions{0}, outside{0};
  pool.run(2000, [&](hg::index, hg::index worker) {
    if (worker < 0 || worker >= 4) {
      ++outside;
      return;
    }
    auto& mine = busy[static_cast<std::size_t>(worker)];
    if (mine.fetch_add(1) != 0) ++collisions;
    std::this_thread::yield();
    mine.fetch_sub(1);
  });
  CHECK(collisions == 0);
  CHECK(outside == 0);
}

TEST_CASE("thread_pool spreads tasks over its threads", "[parallel][thread_pool]") {
  const hg::thread_pool pool(3);
  std::atomic<int> present{0};
  pool.run(3, [&](hg::index, hg::index) {  // returns only if all three tasks are in progress at once
    ++present;
    while (present.load() < 3) std::this_thread::yield();
  });
  CHECK(present == 3);
}

TEST_CASE("thread_pool waits, asleep if need be, for a helper that takes long", "[parallel][thread_pool]") {
  const hg::thread_pool pool(2);
  std::atomic<int> present{0};
  int finished = 0;
  pool.run(2, [&](hg::index, hg::index worker) {
    ++present;
    while (present.load() < 2) std::this_thread::yield();  // one task each for the caller and the helper
    if (worker == 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ++finished;
  });
  CHECK(finished == 1);
}

TEST_CASE("thread_pool survives many short runs, with pauses in which its threads fall asleep",
          "[parallel][thread_pool]") {
  const hg::thread_pool pool(3);
  bool good = true;
  for (int round = 0; round < 3000; ++round) good = each_once(pool, round % 5) && good;
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    good = each_once(pool, 50) && good;
  }
  CHECK(good);
}

TEST_CASE("thread_pool takes runs from several threads in turn", "[parallel][thread_pool]") {
  const hg::thread_pool pool(3);
  std::atomic<int> bad{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round)
        if (!each_once(pool, 1 + round % 20)) ++bad;
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(bad == 0);
}

TEST_CASE("thread_pool runs a task's own run alone instead of waiting for itself", "[parallel][thread_pool]") {
  const hg::thread_pool pool(3);
  std::atomic<int> inner{0}, elsewhere{0};
  pool.run(6, [&](hg::index, hg::index) {
    const auto self = std::this_thread::get_id();
    pool.run(5, [&](hg::index, hg::index worker) {
      ++inner;
      if (worker != 0 || std::this_thread::get_id() != self) ++elsewhere;
    });
  });
  CHECK(inner == 30);
  CHECK(elsewhere == 0);
  CHECK(each_once(pool, 40));
}

TEST_CASE("thread_pool can be destroyed before, while and after its threads wake up", "[parallel][thread_pool]") {
  for (int round = 0; round < 50; ++round) {
    const auto pool = std::make_unique<hg::thread_pool>(1 + round % 4);
    if (round % 2 == 1) CHECK(each_once(*pool, 4));
  }
}

TEST_CASE("thread_pool refuses to have no thread", "[parallel][thread_pool]") {
  CHECK_THROWS_WITH(hg::thread_pool(0), "thread_pool: threads is 0, it must be at least 1");
  CHECK_THROWS_WITH(hg::thread_pool(-2), "thread_pool: threads is -2, it must be at least 1");
}
