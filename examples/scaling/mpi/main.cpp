// SPDX-License-Identifier: BSD-3-Clause
// What the library's own exchange sends between processes: mpirun -n 4 headgate_scaling_mpi --check
#include "../measure_rank.hpp"
#include "../options.hpp"

#include <command_line/parsed.hpp>
#include <headgate/communicators/mpi_ranks.hpp>
#include <headgate/core/error.hpp>

#include <span>

namespace scaling {

namespace {

bool run(const setting& chosen, hg::mpi_rank& rank) {
  if (rank.size() < 2 || rank.size() > chosen.experts)
    hg::refuse("there are ", rank.size(), " ranks, it takes from 2 to the ", chosen.experts, " experts");
  const setting s = measured_setting(chosen, rank.size());
  std::vector<two_passes> all(static_cast<std::size_t>(rank.size()));
  all[static_cast<std::size_t>(rank.rank())] = measure_rank(s, uniform_logits(s), rank);
  for (two_passes& one : all)  // zeros but for one rank
    for (sent* pass : {&one.forward, &one.backward}) {
      rank.all_reduce(std::span(&pass->messages, 1));
      rank.all_reduce(std::span(&pass->bytes, 1));
    }
  if (rank.rank() != 0) return true;
  agreement seen;
  print_measured(s, all, seen);
  seen.print("figures agree with the routing's and the closed form's");
  return seen.good() || !s.check;
}

}  // namespace

}  // namespace scaling

int main(int count, char** arguments) {
  return command_line::status_of("headgate_scaling_mpi", [&] {
    const auto chosen = scaling::parse_options(count, arguments);
    if (!chosen) return 0;
    bool good = true;
    const int ended = headgate::run_mpi_ranks(count, arguments,
                                              [&](headgate::mpi_rank& rank) { good = scaling::run(*chosen, rank); });
    return good ? ended : 1;
  });
}
