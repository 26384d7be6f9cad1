// SPDX-License-Identifier: BSD-3-Clause
// What happens where MPI itself errs or is late: its functions are replaced by ones that do, over its profiling interface.
#include <headgate/communicators/mpi_ranks.hpp>

#include "support/communicator_checks.hpp"

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

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
  hg::mpi_rank rank(MPI_COMM_WORLD, {.time_out = 2});
  if (rank.size() == 1) return;
  rank.barrier();
  if (rank.rank() != 0) std::this_thread::sleep_for(std::chrono::milliseconds(300));
  bool suspended = false;
  after_look = [&](int done) {
    if (rank.rank() != 0 || suspended || done != 0) return;
    suspended = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));  // the others come, after what this rank has seen
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
  CHECK_THAT(error, headgate_test::contains("barrier: rank 0 got an error from MPI: "));
  if (rank.rank() == 0) CHECK(cancelled == 1);
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
