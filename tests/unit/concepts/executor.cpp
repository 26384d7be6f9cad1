// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/concepts/executor.hpp>
#include <headgate/parallel/sequential.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include "support/catch.hpp"

namespace hg = headgate;

namespace {

struct own_pool {  // all that a user writes
  [[nodiscard]] hg::index workers() const { return 3; }
  template <class F>
  void run(hg::index tasks, const F& f) const {
    for (hg::index task = tasks; task-- > 0;) f(task, task % 3);
  }
};

struct without_workers {
  template <class F>
  void run(hg::index, const F&) const {}
};

struct takes_a_task_without_worker {
  [[nodiscard]] hg::index workers() const { return 1; }
  void run(hg::index tasks, void (*f)(hg::index)) const { f(tasks); }
};

struct changes_itself {
  [[nodiscard]] hg::index workers() const { return 1; }
  template <class F>
  void run(hg::index, const F&) {}
};

}  // namespace

TEST_CASE("the library's executors and a user's pool model executor", "[concepts][executor]") {
  STATIC_REQUIRE(hg::executor<hg::sequential>);
  STATIC_REQUIRE(hg::executor<hg::thread_pool>);
  STATIC_REQUIRE(hg::executor<own_pool>);
}

TEST_CASE("what lacks workers, takes another task or is not const does not model executor", "[concepts][executor]") {
  STATIC_REQUIRE_FALSE(hg::executor<without_workers>);
  STATIC_REQUIRE_FALSE(hg::executor<takes_a_task_without_worker>);
  STATIC_REQUIRE_FALSE(hg::executor<changes_itself>);
  STATIC_REQUIRE_FALSE(hg::executor<int>);
}
