// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/thread_ranks.hpp>

#include "support/communicator_checks.hpp"
#include "support/thread_group.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace hg = headgate;
using headgate_test::error_of;

namespace {

/// What run_thread_ranks itself throws.
template <class F>
std::string error_of_run(hg::index ranks, const F& f) {
  return error_of([&] { hg::run_thread_ranks(ranks, f); });
}

}  // namespace

TEST_CASE("thread_rank does what every communicator does", "[communicators][thread_ranks]") {
  for (const hg::index ranks : {1, 2, 3, 4, 7}) {
    CAPTURE(ranks);
    headgate_test::check_communicator(headgate_test::thread_group{ranks});
  }
}

TEST_CASE("run_thread_ranks throws what the first rank threw and names the rank", "[communicators][thread_ranks]") {
  std::atomic<int> told = 0;
  const auto after_one = [&](auto throws) {
    return [&told, throws](hg::thread_rank& rank) {
      if (rank.rank() == 1) throws();
      const std::string sentence = error_of([&] { rank.barrier(); });
      if (sentence.starts_with("barrier: rank 1 failed: ")) ++told;
      rank.barrier();  // throws again; run_thread_ranks must not take it for the cause
    };
  };
  CHECK(error_of_run(3, after_one([] { hg::refuse("top_k: k is 0"); })) == "refused rank 1: top_k: k is 0");
  CHECK(error_of_run(3, after_one([] { throw hg::communicator_error("my own"); })) == "rank 1: my own");
  CHECK(told == 4);
  try {
    hg::run_thread_ranks(3, after_one([] { throw std::out_of_range("no such row"); }));
    FAIL("nothing was thrown");
  } catch (const hg::rank_error& error) {
    CHECK(error.what() == std::string("rank 1: no such row"));
    CHECK_THROWS_AS(std::rethrow_exception(error.cause()), std::out_of_range);
  }
  CHECK_THROWS_WITH(hg::run_thread_ranks(3, after_one([] { throw 5; })),
                    "rank 1: an exception that is no std::exception");
  CHECK(told == 8);
}

TEST_CASE("run_thread_ranks throws a failure that all ranks only suffered", "[communicators][thread_ranks]") {
  CHECK(error_of_run(3, [](hg::thread_rank& rank) {
          if (rank.rank() == 2) return rank.fail("enough");
          rank.barrier();
        }) == "rank 0: barrier: rank 2 failed: enough");
  CHECK(error_of_run(3, [](hg::thread_rank& rank) {
          if (rank.rank() == 2) rank.fail("enough");
        }) == "nothing");  // nobody waited
  CHECK(error_of_run(3, [](hg::thread_rank& rank) {
          if (rank.rank() == 2) rank.fail("enough");
          (void)error_of([&] { rank.barrier(); });
        }) == "nothing");  // all caught it
}

TEST_CASE("a rank that returns early ends the wait of the others", "[communicators][thread_ranks]") {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<std::string> waits = {
      "rank 0: all_reduce: rank 2 has returned, rank 0 calls all_reduce of 4 int64",
      "rank 0: all_reduce: rank 2 has returned, rank 1 calls all_reduce of 4 int64"};
  for (int late = 0; late < 2; ++late) {
    const std::string error = error_of_run(3, [&](hg::thread_rank& rank) {
      if ((rank.rank() == 2) == (late == 1)) std::this_thread::sleep_for(std::chrono::milliseconds(50));
      if (rank.rank() == 2) return;
      std::vector<hg::index> values(4);
      rank.all_reduce(std::span(values));
    });
    CAPTURE(error);
    CHECK((error == waits[0] || error == waits[1]));
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
}

TEST_CASE("a rank may return while the others leave their last operation", "[communicators][thread_ranks]") {
  for (int round = 0; round < 300; ++round)
    CHECK(error_of_run(4, [](hg::thread_rank& rank) {
            std::vector<float> values(static_cast<std::size_t>(5), 1.0f);
            rank.all_reduce(std::span(values));
            if (rank.rank() == 0) throw std::invalid_argument("late");
          }) == "refused rank 0: late");
}

TEST_CASE("run_thread_ranks refuses what makes no group", "[communicators][thread_ranks]") {
  const auto nothing = [](hg::thread_rank&) {};
  CHECK(error_of_run(0, nothing) == "refused run_thread_ranks: ranks is 0, it must be at least 1");
  CHECK(error_of([&] { hg::run_thread_ranks(2, {.time_out = 0}, nothing); }) ==
        "refused run_thread_ranks: time_out is 0, it must be above 0");
  hg::run_thread_ranks(2, {.time_out = std::numeric_limits<double>::infinity()},
                       [](hg::thread_rank& rank) { rank.barrier(); });
}

TEST_CASE("a process that is stopped for longer than the time-out goes on where it was",
          "[communicators][thread_ranks]") {
  // A child process, for the one that a shell has started is not to be stopped. Rank 1 works 300 ms a step, in small parts:
  // when the child goes on, rank 0 has been waiting for longer than its time-out, and some work is left to rank 1.
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const std::string error = error_of([] {
      hg::run_thread_ranks(2, {.time_out = 1}, [](hg::thread_rank& rank) {
        for (int step = 0; step < 4; ++step) {
          for (int part = 0; part < 15 && rank.rank() == 1; ++part)
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
          rank.barrier();
        }
      });
    });
    _exit(error == "nothing" ? 0 : 1);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(450));
  CHECK(kill(child, SIGSTOP) == 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  CHECK(kill(child, SIGCONT) == 0);
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}
