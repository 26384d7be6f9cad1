// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/fail_together.hpp>
#include <headgate/communicators/single_rank.hpp>
#include <headgate/communicators/thread_ranks.hpp>

#include "support/catch.hpp"

#include <stdexcept>
#include <string>

namespace hg = headgate;

TEST_CASE("what a rank throws goes on, and the group is broken with its sentence", "[communicators][fail_together]") {
  hg::single_rank alone;
  CHECK_NOTHROW(hg::fail_together(alone, [] {}));
  CHECK_NOTHROW(alone.barrier());
  CHECK_THROWS_AS(hg::fail_together(alone, [] { throw std::out_of_range("too far"); }), std::out_of_range);
  CHECK_THROWS_WITH(alone.barrier(), Catch::Contains("rank 0 failed: too far"));
}

TEST_CASE("an operation that failed is not told again", "[communicators][fail_together]") {
  hg::single_rank alone;
  CHECK_THROWS_AS(hg::fail_together(alone, [] { hg::fail_operation("barrier: rank 3 failed"); }),
                  hg::communicator_error);
  CHECK_NOTHROW(alone.barrier());  // who threw it has broken the group already
}

TEST_CASE("ranks that wait learn why, at once", "[communicators][fail_together]") {
  std::string said;
  CHECK_THROWS_WITH(hg::run_thread_ranks(2, {.time_out = 100},
                                         [&](hg::thread_rank& rank) {
                                           try {
                                             hg::fail_together(rank, [&] {
                                               if (rank.rank() == 1) hg::refuse("my sentence");
                                               rank.barrier();
                                             });
                                           } catch (const hg::communicator_error& e) {
                                             said = e.what();
                                           }
                                         }),
                    Catch::Contains("rank 1: my sentence"));
  CHECK(said.find("rank 1 failed: my sentence") != std::string::npos);
}
