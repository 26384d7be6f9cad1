// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/parallel/sequential.hpp>

#include "support/catch.hpp"

#include <vector>

namespace hg = headgate;

TEST_CASE("the sequential executor runs every task once, in order, as worker 0", "[parallel][sequential]") {
  std::vector<hg::index> seen;
  hg::index workers_named = 0;
  hg::run_sequentially.run(5, [&](hg::index task, hg::index worker) {
    seen.push_back(task);
    workers_named += worker;
  });
  CHECK(seen == std::vector<hg::index>{0, 1, 2, 3, 4});
  CHECK(workers_named == 0);
  CHECK(hg::run_sequentially.workers() == 1);
}

TEST_CASE("the sequential executor calls nothing for no tasks", "[parallel][sequential]") {
  bool called = false;
  hg::run_sequentially.run(0, [&](hg::index, hg::index) { called = true; });
  CHECK_FALSE(called);
}
