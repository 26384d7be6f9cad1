// SPDX-License-Identifier: BSD-3-Clause
#include "terminal.hpp"

#include <drawing/terminal.hpp>

#include <cstdio>

namespace specialise {

namespace {

std::string facts(const run_view& now) {
  char text[128] = "";
  int length = 0;
  if (now.last) length = std::snprintf(text, sizeof text, "  train %.4f bpb", now.last->train_bpb);
  if (now.validation)
    std::snprintf(text + length, sizeof text - static_cast<std::size_t>(length), "  validation %.4f bpb",
                  now.validation->bpb());
  return text;
}

}  // namespace

void progress::show(const run_view& now) {
  if (first_ == 0) first_ = now.step - 1, start_ = clock::now();  // without the set-up and the first step
  const auto moment = clock::now();
  const bool ends = now.step == now.steps;
  const double made = static_cast<double>(now.step - first_ - 1), left = static_cast<double>(now.steps - now.step);
  const double elapsed = std::chrono::duration<double>(moment - start_).count();
  const double seconds = made > 0 ? elapsed / made * left : 0;
  if (drawing::fancy_output()) {
    if (!ends && moment - drawn_ < std::chrono::milliseconds(100)) return;
    drawn_ = moment;
    std::printf("\r\x1b[K\x1b[1m%-28s\x1b[0m \x1b[36m%s\x1b[0m%s  %.0f bytes/s", name_.c_str(),
                drawing::bar(static_cast<double>(now.step) / static_cast<double>(now.steps), 20).c_str(),
                facts(now).c_str(), now.bytes_per_second);
    if (ends)
      std::puts("");
    else
      std::printf("  %.0f s left", seconds);
  } else if (now.step * 10 / now.steps != (now.step - 1) * 10 / now.steps) {
    std::printf("%-28s step %5td of %td%s  %.0f bytes/s\n", name_.c_str(), now.step, now.steps, facts(now).c_str(),
                now.bytes_per_second);
  }
  std::fflush(stdout);
}

void progress::validates(index step, index steps) const {
  if (drawing::fancy_output())
    std::printf("  validating");
  else
    std::printf("%-28s step %5td of %td  validating\n", name_.c_str(), step, steps);
  std::fflush(stdout);
}

void progress::note(const std::string& sentence) const {
  std::printf("%-28s %s\n", name_.c_str(), sentence.c_str());
  std::fflush(stdout);
}

}  // namespace specialise
