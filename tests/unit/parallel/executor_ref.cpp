// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/parallel/executor_ref.hpp>
#include <headgate/parallel/sequential.hpp>
#include <headgate/parallel/thread_pool.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <type_traits>
#include <vector>

namespace hg = headgate;

static_assert(hg::executor<hg::executor_ref>);
static_assert(std::is_trivially_copyable_v<hg::executor_ref>);

namespace {

/// A user's executor, whose `workers` is no `index`.
struct counting {
  int* runs;

  [[nodiscard]] int workers() const { return 7; }
  template <class F>
  void run(hg::index tasks, const F& f) const {
    ++*runs;
    for (hg::index task = 0; task < tasks; ++task) f(task, hg::index{6});
  }
};

}  // namespace

TEST_CASE("executor_ref runs every task once on the executor that it refers to", "[parallel][executor_ref]") {
  const hg::thread_pool pool(3);
  const hg::executor_ref ref = pool;
  CHECK(ref.workers() == 3);
  std::vector<std::atomic<int>> runs(100);
  std::atomic<int> wrong{0};
  ref.run(100, [&](hg::index task, hg::index worker) {
    ++runs[static_cast<std::size_t>(task)];
    if (worker < 0 || worker >= 3) ++wrong;
  });
  for (const auto& count : runs) CHECK(count == 1);
  CHECK(wrong == 0);
}

TEST_CASE("executor_ref keeps the order and the worker of the sequential executor", "[parallel][executor_ref]") {
  const hg::executor_ref ref = hg::run_sequentially;
  CHECK(ref.workers() == 1);
  std::vector<hg::index> seen;
  ref.run(4, [&](hg::index task, hg::index worker) { seen.push_back(10 * task + worker); });
  CHECK(seen == std::vector<hg::index>{0, 10, 20, 30});
  ref.run(0, [&](hg::index, hg::index) { seen.clear(); });
  CHECK(seen.size() == 4);
}

TEST_CASE("a copy of an executor_ref refers to the executor, not to the other reference", "[parallel][executor_ref]") {
  int runs = 0;
  const counting own{&runs};
  hg::executor_ref copy = hg::run_sequentially;
  {
    const hg::executor_ref first = own;
    copy = first;
    CHECK(hg::executor_ref(first).workers() == 7);
  }
  CHECK(copy.workers() == 7);
  hg::index sum = 0;
  copy.run(3, [&](hg::index task, hg::index worker) { sum += task + worker; });
  CHECK(runs == 1);
  CHECK(sum == 0 + 1 + 2 + 3 * 6);
}
