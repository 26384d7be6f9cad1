// SPDX-License-Identifier: BSD-3-Clause
#include "terminal.hpp"

#include <drawing/svg.hpp>
#include <drawing/terminal.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace demo {

using drawing::bar, drawing::fancy_output;

namespace {

/// A cell of the heat map on a terminal: from the background's own colour up a ramp of the 256-colour cube.
std::string coloured(double share, double most) {
  constexpr std::array<int, 8> ramp{17, 18, 24, 30, 36, 42, 48, 84};
  const auto level = static_cast<std::size_t>(std::lround(share / most * static_cast<double>(ramp.size())));
  std::array<char, 64> text{};
  if (level == 0)
    std::snprintf(text.data(), text.size(), "\x1b[2m%5.0f \x1b[0m", 100 * share);
  else
    std::snprintf(text.data(), text.size(), "\x1b[48;5;%dm\x1b[38;5;%dm%5.0f \x1b[0m", ramp[level - 1],
                  level > 4 ? 16 : 255, 100 * share);
  return text.data();
}

}  // namespace

void progress::show(index epoch, const epoch_record& means) {
  const auto now = clock::now();
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double left = elapsed / static_cast<double>(epoch) * static_cast<double>(epochs_ - epoch);
  const double share = static_cast<double>(epoch) / static_cast<double>(epochs_);
  if (fancy_output()) {
    if (epoch < epochs_ && now - drawn_ < std::chrono::milliseconds(40)) return;
    drawn_ = now;
    std::printf("\r\x1b[1m%-20s\x1b[0m \x1b[36m%s\x1b[0m  loss %.4f  accuracy %.4f  %4.1f s %s ", name_.c_str(),
                bar(share, 20).c_str(), means.loss, means.accuracy, epoch < epochs_ ? left : elapsed,
                epoch < epochs_ ? "left" : "    ");
    if (epoch == epochs_) std::puts("");
  } else if (epoch * 10 / epochs_ != (epoch - 1) * 10 / epochs_) {
    std::printf("%-20s epoch %4td of %td  loss %.4f  accuracy %.4f  %4.1f s left\n", name_.c_str(), epoch, epochs_,
                means.loss, means.accuracy, left);
  }
  std::fflush(stdout);
}

void print_table(const std::vector<run_record>& runs, const char* accuracy_of) {
  const bool fancy = fancy_output();
  std::printf("\n%-20s %10s %10s %10s %22s\n", "", accuracy_of, "parameters", "", "tokens per second");
  std::printf("%-20s %10s %10s %10s %11s %11s\n", "", "accuracy", "active", "total", "training", "inference");
  for (const run_record& run : runs)
    std::printf("%s%-20s %10.4f%s %10s %10s %11s %11s\n", fancy ? "\x1b[1m" : "", run.name.c_str(), run.accuracy,
                fancy ? "\x1b[0m" : "", drawing::grouped(static_cast<double>(run.active_parameters)).c_str(),
                drawing::grouped(static_cast<double>(run.total_parameters)).c_str(),
                drawing::grouped(run.training_rate).c_str(), drawing::grouped(run.inference_rate).c_str());
}

void print_specialisation(const run_record& mixture) {
  double most = 0;
  for (const auto& row : mixture.specialisation)
    for (const double share : row) most = (std::max)(most, share);

  std::printf("\nShare of each digit's assignments that an expert gets, in per cent\n\nexpert ");
  for (std::size_t e = 0; e < mixture.specialisation.front().size(); ++e) std::printf("%5zu ", e);
  std::puts("");
  for (std::size_t digit = 0; digit < mixture.specialisation.size(); ++digit) {
    std::printf("%s%zu ", digit == 0 ? "digit " : "      ", digit);
    for (const double share : mixture.specialisation[digit])
      if (fancy_output())
        std::fputs(coloured(share, most).c_str(), stdout);
      else
        std::printf("%5.0f ", 100 * share);
    std::puts("");
  }
}

}  // namespace demo
