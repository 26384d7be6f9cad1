// SPDX-License-Identifier: BSD-3-Clause
// The experiment: when do experts specialise in domains? Trains small language models that differ in the pool of their
// balance loss alone (Qiu et al. 2025, arXiv:2501.11873).
#include "program.hpp"

#include <command_line/parsed.hpp>

int main(int count, char** arguments) {
  using namespace specialise;
  return command_line::status_of("specialise", [&] {
    const std::optional<options> chosen = parse_options(count, arguments);
    if (chosen)
      run_program(*chosen, true, [&](const settings& how, const text& data, const watcher& watch) {
        train(how, data, chosen->out(), chosen->ranks, watch);
      });
    return 0;
  });
}
