// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/communicators/counted.hpp>
#include <headgate/communicators/mpi_ranks.hpp>

#include "support/communicator_checks.hpp"

#include <string>
#include <utility>
#include <vector>

namespace hg = headgate;
using headgate_test::error_of;

namespace {

hg::index world_size() {
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  return size;
}

/// A group of all processes; each sees its own rank alone.
struct processes {
  bool agreement = true;
  [[nodiscard]] hg::index size() const { return world_size(); }

  template <class F>
  auto operator()(double time_out, const F& f) const {
    hg::mpi_rank rank(MPI_COMM_WORLD, {.time_out = time_out, .agreement = agreement});
    return std::vector<std::pair<hg::index, std::string>>{{rank.rank(), f(rank)}};
  }
};

struct counted_processes {
  [[nodiscard]] hg::index size() const { return world_size(); }

  template <class F>
  auto operator()(double time_out, const F& f) const {
    hg::mpi_rank process(MPI_COMM_WORLD, {.time_out = time_out});
    hg::counted rank(process);
    return std::vector<std::pair<hg::index, std::string>>{{rank.rank(), f(rank)}};
  }
};

}  // namespace

TEST_CASE("mpi_rank does what every communicator does", "[communicators][mpi_ranks]") {
  headgate_test::check_communicator(processes{});
}

TEST_CASE("counted mpi_rank does what every communicator does", "[communicators][mpi_ranks]") {
  headgate_test::check_values(counted_processes{});
  headgate_test::check_failure(counted_processes{});
}

TEST_CASE("mpi_rank without agreement moves the same values", "[communicators][mpi_ranks]") {
  headgate_test::check_values(processes{.agreement = false});
  headgate_test::check_refusals(processes{.agreement = false});
  headgate_test::check_failure(processes{.agreement = false});
}

TEST_CASE("mpi_rank without agreement still gives up a silent rank", "[communicators][mpi_ranks]") {
  hg::mpi_rank rank(MPI_COMM_WORLD, {.time_out = 0.5, .agreement = false});
  if (rank.size() == 1) return;
  rank.barrier();
  if (rank.rank() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  CHECK(error_of([&] { rank.barrier(); }) == "barrier: rank 0 fell silent in barrier: no word for 0.5 seconds");
}

TEST_CASE("mpi_rank cuts values that are longer than its scratch or than a message", "[communicators][mpi_ranks]") {
  hg::mpi_rank rank;
  const hg::index long_one = (hg::index{1} << 22) + 5;  // floats: more than 16 MiB
  CHECK(headgate_test::reduces<float>(rank, long_one));
  std::vector<char> many((std::size_t{1} << 26) + 3);  // more than one message of 64 MiB
  if (rank.rank() == 0) {
    many.front() = 1;
    many.back() = 2;
  }
  rank.broadcast(std::span(many), 0);
  CHECK(many.front() == 1);
  CHECK(many.back() == 2);
}

TEST_CASE("a rank that has finished ends the wait of the others", "[communicators][mpi_ranks]") {
  hg::mpi_rank rank(MPI_COMM_WORLD);
  if (rank.size() == 1) return;
  const hg::index last = rank.size() - 1;
  rank.barrier();
  std::vector<float> values(2);
  const std::string error = rank.rank() == last ? error_of([&] { rank.finish(); })  //
                                                : error_of([&] { rank.all_reduce(std::span(values)); });
  CAPTURE(error);
  CHECK_THAT(error, headgate_test::contains("rank " + std::to_string(last) + " has returned, rank "));
  CHECK_THAT(error, headgate_test::contains(" calls all_reduce of 2 float32"));
}

TEST_CASE("mpi_rank refuses a time-out that is none", "[communicators][mpi_ranks]") {
  CHECK(error_of([] { hg::mpi_rank rank(MPI_COMM_WORLD, {.time_out = -1}); }) ==
        "refused mpi_rank: time_out is -1, it must be above 0");
}

TEST_CASE("mpi_rank refuses ranks of which some compare their calls and some do not", "[communicators][mpi_ranks]") {
  int me = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &me);
  if (world_size() == 1) return;
  CHECK(error_of([&] { hg::mpi_rank rank(MPI_COMM_WORLD, {.agreement = me != 1}); }) ==
        "refused mpi_rank: agreement is true on rank 0 and false on rank 1, it must be the same on all ranks");
  hg::mpi_rank rank(MPI_COMM_WORLD);  // nothing is left of it
  CHECK(headgate_test::reduces<float>(rank, 5));
}
