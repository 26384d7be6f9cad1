// SPDX-License-Identifier: BSD-3-Clause
// main() of the tests that run as several processes: all run all tests; rank 0 prints what Catch does, the others what fails.
#define CATCH_CONFIG_RUNNER
#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <string>

int main(int argc, char** argv) {
  int provided = 0, rank = 0, size = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  Catch::Session session;
  int failed = session.applyCommandLine(argc, argv);
  const std::string report = "mpi_tests_rank_" + std::to_string(rank) + "_of_" + std::to_string(size) + ".txt";
  if (rank > 0) session.configData().outputFilename = report;
  if (failed == 0) failed = session.run();
  if (rank > 0) {
    if (std::FILE* const file = failed != 0 ? std::fopen(report.c_str(), "r") : nullptr) {
      std::fprintf(stderr, "--- rank %d\n", rank);
      for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) std::fputc(c, stderr);
      std::fclose(file);
    }
    std::remove(report.c_str());
  }
  if (failed != 0) {  // the others may wait for what this rank has not done
    std::fflush(nullptr);
    MPI_Abort(MPI_COMM_WORLD, (std::min)(failed, 255));
  }
  MPI_Finalize();
  return failed;
}
