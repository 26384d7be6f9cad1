// SPDX-License-Identifier: BSD-3-Clause
// Tables of the terminal that are tables of a Markdown page too.
#pragma once

#include <drawing/svg.hpp>

#include <string>
#include <vector>

namespace scaling {

using drawing::text;

/// Rows of cells, printed in columns of one width, numbers to the right.
class table {
 public:
  explicit table(std::vector<std::string> head) : rows_{std::move(head)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print(const std::string& title) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace scaling
