// SPDX-License-Identifier: BSD-3-Clause
// A job that works until something happens to it (tests/scripts/mpi_death.sh): death <seconds of time-out> [throw|unthreaded|short]
#include <headgate/communicators/mpi_ranks.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace hg = headgate;

namespace {
bool unthreaded = false;
}

/// MPI, which may be told to know no threads.
extern "C" int MPI_Init_thread(int* argc, char*** argv, int required, int* provided) {
  const int code = PMPI_Init_thread(argc, argv, required, provided);
  if (unthreaded) *provided = MPI_THREAD_SINGLE;
  return code;
}

int main(int argc, char** argv) {
  const double time_out = argc > 1 ? std::atof(argv[1]) : 60;
  const bool throws = argc > 2 && std::string_view(argv[2]) == "throw";
  const auto duration = std::chrono::seconds(argc > 2 && std::string_view(argv[2]) == "short" ? 6 : 60);
  unthreaded = argc > 2 && std::string_view(argv[2]) == "unthreaded";
  return hg::run_mpi_ranks(argc, argv, {.time_out = time_out}, [&](hg::mpi_rank& rank) {
    std::printf("rank %d is process %d\n", static_cast<int>(rank.rank()), static_cast<int>(getpid()));
    std::fflush(stdout);
    std::vector<float> values(1000);
    const auto start = std::chrono::steady_clock::now();
    for (hg::index on = 1, step = 0; on > 0; ++step) {
      rank.all_reduce(std::span(values));
      if (throws && rank.rank() == 3 && step == 100) throw std::runtime_error("no tokens are left");
      on = std::chrono::steady_clock::now() - start < duration ? 1 : 0;
      rank.broadcast(std::span(&on, 1), 0);
    }
  });
}
