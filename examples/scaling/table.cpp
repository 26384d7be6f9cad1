// SPDX-License-Identifier: BSD-3-Clause
#include "table.hpp"

#include <algorithm>
#include <cstdio>

namespace scaling {

void table::print(const std::string& title) const {
  std::printf("\n### %s\n\n", title.c_str());
  std::vector<std::size_t> width(rows_.front().size(), 3);
  for (const auto& row : rows_)
    for (std::size_t c = 0; c < row.size(); ++c) width[c] = (std::max)(width[c], row[c].size());
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    for (std::size_t c = 0; c < width.size(); ++c)
      std::printf(c == 0 ? "| %-*s |" : " %*s |", static_cast<int>(width[c]), rows_[r][c].c_str());
    std::printf("\n");
    if (r > 0) continue;
    for (std::size_t c = 0; c < width.size(); ++c)
      std::printf(c == 0 ? "| %s |" : " %s: |", std::string(c == 0 ? width[c] : width[c] - 1, '-').c_str());
    std::printf("\n");
  }
}

}  // namespace scaling
