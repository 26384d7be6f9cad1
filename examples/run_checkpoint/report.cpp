// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include <headgate/io/replacing_file.hpp>

#if __has_include(<unistd.h>)
#include <unistd.h>  // isatty
#endif

#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>

namespace run_checkpoint {

namespace {

bool on_terminal() {
#if __has_include(<unistd.h>)
  static const bool terminal = isatty(STDOUT_FILENO) == 1;
  return terminal;
#else
  return false;
#endif
}

}  // namespace

std::string grouped(double number) {
  std::string digits = std::to_string(std::llround(number));
  for (auto place = static_cast<std::ptrdiff_t>(digits.size()) - 3; place > 0; place -= 3)
    digits.insert(static_cast<std::size_t>(place), 1, ' ');
  return digits;
}

std::string duration(double seconds) {
  struct unit {
    double length;
    const char* name;
  };
  constexpr std::array<unit, 3> units{{{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}}};
  unit best = units.back();
  for (const unit& one : units)
    if (one.length > best.length && seconds >= one.length) best = one;
  const double amount = seconds / best.length;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f %s", amount < 10 ? 2 : amount < 100 ? 1 : 0, amount, best.name);
  return text.data();
}

void progress::step(index layer, std::string_view what) {
  const double part = static_cast<double>(begun_++) / static_cast<double>(steps_);
  if (!on_terminal()) return;
  clear();
  std::printf("%3.0f%%  layer %td: %.*s", 100 * part, layer, static_cast<int>(what.size()), what.data());
  std::fflush(stdout);
  shown_ = true;
}

void progress::done(const layer_record& one) {
  clear();
  if (!titles_)
    std::printf("%5s  %6s  %7s  %9s  %15s  %9s  %10s  %9s  %10s  %s\n", "layer", "width", "experts", "per token",
                "parameters", "load", "first pass", "pass", "tokens/s", "prefix");
  titles_ = true;
  std::printf("%5td  %6td  %7td  %9.2f  %15s  %9s  %10s  %9s  %10s  %s\n", one.layer, one.model, one.experts,
              one.experts_each, grouped(static_cast<double>(one.parameters)).c_str(),
              duration(one.load_seconds).c_str(), duration(one.first_seconds).c_str(),
              duration(one.pass_seconds).c_str(), grouped(one.tokens_per_second).c_str(), one.prefix.c_str());
  std::fflush(stdout);
}

void progress::clear() {
  if (shown_) std::fputs("\r\x1b[K", stdout);
  shown_ = false;
}

std::optional<std::uint64_t> peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::uint64_t kibibytes = 0;
    if (word == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
  }
  return std::nullopt;
}

void write_text(const std::string& path, std::string_view text) {
  headgate::replacing_file file(path);
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace run_checkpoint
