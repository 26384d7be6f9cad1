// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/counted.hpp>
#include <headgate/communicators/single_rank.hpp>
#include <headgate/communicators/thread_ranks.hpp>

#include "support/communicator_checks.hpp"
#include "support/thread_group.hpp"

#include <string>
#include <vector>

namespace hg = headgate;

static_assert(hg::communicator<hg::counted<hg::single_rank>>);
static_assert(hg::communicator<hg::counted<hg::counted<hg::thread_rank>>>);

namespace {

struct counted_threads : headgate_test::thread_group {
  template <class F>
  auto operator()(double time_out, const F& f) const {
    return thread_group::operator()(time_out, [&](hg::thread_rank& thread) {
      hg::counted rank(thread);
      return f(rank);
    });
  }
};

std::string text(const hg::traffic& t) {
  return std::to_string(t.calls) + " calls " + std::to_string(t.messages) + " messages " + std::to_string(t.bytes) +
         " bytes";
}

}  // namespace

TEST_CASE("counted does what the communicator does", "[communicators][counted]") {
  headgate_test::check_communicator(counted_threads{{3}});
}

TEST_CASE("counted counts what a rank sends to others", "[communicators][counted]") {
  const auto lines = counted_threads{{3}}(60, [](auto& rank) -> std::string {
    std::vector<float> seven(7);  // parts of 3, 2 and 2
    rank.all_reduce(std::span(seven));
    std::vector<double> one(1);  // rank 0 adds it
    rank.all_reduce(std::span(one));
    rank.all_reduce(std::span<float>());

    std::vector<hg::index> counts(3, 0);  // rank 0 keeps 4, 1 and 2 send each other 5
    counts[rank.rank() == 0 ? 0 : rank.rank() == 1 ? 2 : 1] = rank.rank() == 0 ? 4 : 5;
    std::vector<float> send(rank.rank() == 0 ? 4 : 5), receive(send.size());
    rank.all_to_all(std::span<const float>(send), counts, std::span(receive), counts);
    rank.broadcast(std::span(seven), 1);
    rank.broadcast(std::span<float>(), 2);
    rank.barrier();

    const auto all = rank.counts();
    std::string line = text(all.all_reduce) + ", " + text(all.all_to_all) + ", " + text(all.broadcast) + ", " +
                       text(all.barrier) + ", " + text(all.total());
    rank.reset_counts();
    return line + (rank.counts() == hg::traffic_counts{} ? "" : ", not reset");
  });
  // Rank 0: parts of 2 and 2 out, its 3 sums to two: 10 values of 4 bytes. The others: 3 + 2 out and 2 sums to two: 9.
  CHECK(lines[0].second ==
        "3 calls 6 messages 56 bytes, 1 calls 0 messages 0 bytes, 2 calls 0 messages 0 bytes, "
        "1 calls 0 messages 0 bytes, 7 calls 6 messages 56 bytes");
  CHECK(lines[1].second ==
        "3 calls 5 messages 44 bytes, 1 calls 1 messages 20 bytes, 2 calls 2 messages 56 bytes, "
        "1 calls 0 messages 0 bytes, 7 calls 8 messages 120 bytes");
  CHECK(lines[2].second ==
        "3 calls 5 messages 44 bytes, 1 calls 1 messages 20 bytes, 2 calls 0 messages 0 bytes, "
        "1 calls 0 messages 0 bytes, 7 calls 6 messages 64 bytes");
}

TEST_CASE("counted counts no call that failed", "[communicators][counted]") {
  hg::single_rank one;
  hg::counted rank(one);
  rank.barrier();
  rank.fail("enough");
  CHECK_THROWS_WITH(rank.barrier(), "barrier: rank 0 failed: enough");
  CHECK(rank.counts().barrier == hg::traffic{.calls = 1});
}
