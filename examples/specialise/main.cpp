// SPDX-License-Identifier: BSD-3-Clause
// The experiment: when do experts specialise in domains? Trains small language models that differ in the pool of their
// balance loss alone (Qiu et al. 2025, arXiv:2501.11873).
#include "program.hpp"

#include <cstdio>
#include <exception>

int main(int count, char** arguments) {
  using namespace specialise;
  try {
    int status = 0;
    const std::optional<options> chosen = parse_command_line(count, arguments, status);
    if (chosen)
      run_program(*chosen, true, [&](const settings& how, const text& data, const watcher& watch) {
        train(how, data, chosen->out(), chosen->ranks, watch);
      });
    return status;
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "specialise: %s\n", error.what());
    return 1;
  }
}
