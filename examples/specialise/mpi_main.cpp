// SPDX-License-Identifier: BSD-3-Clause
// The same experiment with ranks that are processes: mpirun -n 4 headgate_specialise_mpi --out DIR ...
#include "program.hpp"
#include "rank_training.hpp"

#include <command_line/parsed.hpp>
#include <headgate/communicators/mpi_ranks.hpp>
#include <headgate/core/error.hpp>

int main(int count, char** arguments) {
  using namespace specialise;
  return command_line::status_of("specialise", [&] {
    std::optional<options> chosen = parse_options(count, arguments);
    if (!chosen) return 0;
    return hg::run_mpi_ranks(count, arguments, {.time_out = chosen->how.time_out}, [&](hg::mpi_rank& rank) {
      if (chosen->names_ranks && chosen->ranks != rank.size())
        hg::refuse("--ranks is ", chosen->ranks, ", the job has ", rank.size(), " processes");
      chosen->ranks = rank.size();
      chosen->ends_at_failure = true;
      run_program(*chosen, rank.rank() == 0, [&](const settings& how, const text& data, const watcher& watch) {
        train_rank(how, data, chosen->out(), rank, watch);
      });
    });
  });
}
