// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/fail_together.hpp>
#include <headgate/communicators/single_rank.hpp>
#include <headgate/communicators/thread_ranks.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

namespace hg = headgate;

TEST_CASE("what a rank throws goes on, and the group is broken with its sentence", "[communicators][fail_together]") {
  hg::single_rank alone;
  CHECK_NOTHROW(hg::fail_together(alone, [] {}));
  CHECK_NOTHROW(alone.barrier());
  CHECK_THROWS_AS(hg::fail_together(alone, [] { throw std::out_of_range("too far"); }), std::out_of_range);
  CHECK_THROWS_WITH(alone.barrier(), Catch::Contains("rank 0 failed: too far"));
}

TEST_CASE("an operation that failed is told no second time", "[communicators][fail_together]") {
  hg::single_rank alone;
  alone.fail("the first reason");
  CHECK_THROWS_AS(hg::fail_together(alone, [&] { alone.barrier(); }), hg::communicator_error);
  CHECK_THROWS_WITH(alone.barrier(), "barrier: rank 0 failed: the first reason");
}

TEST_CASE("an error of another group is this group's too, and told at once", "[communicators][fail_together]") {
  std::string said;
  std::atomic<bool> told = false;
  const auto start = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(hg::run_thread_ranks(2, {.time_out = 20},
                                       [&](hg::thread_rank& rank) {
                                         hg::single_rank other_group;
                                         if (rank.rank() == 0) other_group.fail("of the inner group");
                                         try {
                                           hg::fail_together(rank, [&] {
                                             other_group.barrier();
                                             rank.barrier();
                                           });
                                         } catch (const hg::communicator_error& e) {
                                           if (rank.rank() == 1) said = e.what();
                                           // Rank 0 stays, or its leaving would be what rank 1 hears.
                                           for (int i = 0; rank.rank() == 0 && i < 500 && !told; ++i)
                                             std::this_thread::sleep_for(std::chrono::milliseconds(10));
                                           told = true;
                                           throw;
                                         }
                                       }),
                  hg::communicator_error);
  CHECK(said == "barrier: rank 0 failed: barrier: rank 0 failed: of the inner group");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(4));  // rank 0 has not given up waiting
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
