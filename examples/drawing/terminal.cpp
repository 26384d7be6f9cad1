// SPDX-License-Identifier: BSD-3-Clause
#include "terminal.hpp"

#include <unistd.h>  // isatty

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace drawing {

bool fancy_output() {
  static const bool fancy = isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  return fancy;
}

std::string bar(double share, int width) {
  constexpr std::array<const char*, 8> parts{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(std::lround(share * width * 8));
  std::string text;
  for (int i = 0; i < eighths / 8; ++i) text += "█";
  text += parts[static_cast<std::size_t>(eighths % 8)];
  for (int i = (eighths + 7) / 8; i < width; ++i) text += "·";
  return text;
}

}  // namespace drawing
