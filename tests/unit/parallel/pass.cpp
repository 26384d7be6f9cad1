// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/parallel/pass.hpp>

#include "support/catch.hpp"

namespace hg = headgate;

TEST_CASE("a pass made of an executor and memory alone is one of evaluation", "[parallel][pass]") {
  hg::scratch<float> memory;
  const hg::pass<float> pass{hg::run_sequentially, memory};
  CHECK_FALSE(pass.training);
  CHECK(pass.random.seed == 0);
  CHECK(pass.random.step == 0);
}

TEST_CASE("kernels grow the caller's working memory through a const pass", "[parallel][pass]") {
  hg::scratch<float> memory;
  const hg::pass<float> pass{hg::run_sequentially, memory};
  pass.working_memory.resize(2, 3);
  CHECK(memory.size() == 6);
}
