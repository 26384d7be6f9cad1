// SPDX-License-Identifier: BSD-3-Clause
// What happens where MPI itself errs or is late: its functions are replaced by ones that do, over its profiling interface.
#include <headgate/communicators/mpi_ranks.hpp>

#include "support/communicator_checks.hpp"

#include <chrono>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace hg = headgate;
using headgate_test::error_of;

namespace {

std::function<bool()> receive_errs = [] { return false; };
std::function<void(int done)> after_look = [](int) {};
int cancelled = 0, freed = 0;

}  // namespace

extern "C" {

int MPI_Irecv(void* to, int count, MPI_Datatype type, int from, int tag, MPI_Comm comm, MPI_Request* request) {
  if (receive_errs()) return MPI_ERR_OTHER;
  return PMPI_Irecv(to, count, type, from, tag, comm, request);
}

int MPI_Testsome(int count, MPI_Request* requests, int* done, int* which, MPI_Status* statuses) {
  const int code = PMPI_Testsome(count, requests, done, which, statuses);
  after_look(*done);
  return code;
}

int MPI_Cancel(MPI_Request* request) {
  ++cancelled;
  return PMPI_Cancel(request);
}

int MPI_Comm_free(MPI_Comm* comm) {
  ++freed;
  return PMPI_Comm_free(comm);
}

}  // extern "C"

TEST_CASE("a rank that was suspended itself looks for messages again before it gives up the others",
          "[communicators][mpi_exchange]") {
  // Less than what one look counts at most, for rank 0 alone: the others wait for it.
  int me = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &me);
  hg::mpi_rank rank(MPI_COMM_WORLD, {.time_out = me == 0 ? 0.05 : 20});
  if (rank.size() == 1) return;
  MPI_Barrier(MPI_COMM_WORLD);
  if (me != 0) std::this_thread::sleep_for(std::chrono::milliseconds(300));
  bool suspended = false;
  after_look = [&](int done) {
    if (rank.rank() != 0 || suspended || done != 0) return;
    suspended = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1000));  // the others come, after what this rank has seen
  };
  const std::string error = error_of([&] { rank.barrier(); });
  after_look = [](int) {};
  CHECK(error == "nothing");
  CHECK(suspended == (rank.rank() == 0));
}

TEST_CASE("where MPI fails to begin a receive, those that were begun are taken back", "[communicators][mpi_exchange]") {
  hg::mpi_rank rank(MPI_COMM_WORLD);
  if (rank.size() < 3) return;
  cancelled = 0;
  int receives = 0;
  receive_errs = [&] { return rank.rank() == 0 && ++receives == 2; };
  const std::string error = error_of([&] { rank.barrier(); });
  receive_errs = [] { return false; };
  CHECK_THAT(error, headgate_test::contains("barrier: rank 0 got an error from MPI in a message with rank 2: "));
  if (rank.rank() == 0) CHECK(cancelled == 1);
}

TEST_CASE("where MPI fails in a transfer, the sentence says how, and with whom", "[communicators][mpi_exchange]") {
  hg::mpi_rank rank(MPI_COMM_WORLD, {.time_out = 20, .agreement = false});
  if (rank.size() == 1) return;
  const hg::index last = rank.size() - 1;
  std::vector<float> values(rank.rank() == 0 ? 9 : 8);  // rank 0 sends more than the others take
  std::string error = error_of([&] { rank.broadcast(std::span(values), 0); });
  if (rank.rank() > 0) {
    const std::string who = "rank " + std::to_string(rank.rank()) + " got an error from MPI in a message with rank 0: ";
    CHECK_THAT(error, headgate_test::contains("broadcast: rank "));
    CHECK_THAT(error, headgate_test::contains(" got an error from MPI in a message with rank 0: "));
    CHECK(error.find("IN_STATUS") == std::string::npos);
    if (last == 1) CHECK_THAT(error, headgate_test::contains(who));
  } else if (error == "nothing") {  // the messages were on their way before anybody complained
    error = error_of([&] { rank.barrier(); });
    CHECK_THAT(error, headgate_test::contains(" got an error from MPI in a message with rank 0: "));
  }
}

TEST_CASE("an exception that ends a group waits for no other rank", "[communicators][mpi_exchange]") {
  freed = 0;
  CHECK_THROWS_AS(
      [] {
        hg::mpi_rank rank(MPI_COMM_WORLD);
        throw std::runtime_error("of something else");
      }(),
      std::runtime_error);
  CHECK(freed == 0);
  { hg::mpi_rank rank(MPI_COMM_WORLD); }
  CHECK(freed == 1);
}
