// SPDX-License-Identifier: BSD-3-Clause
// What the examples show on a terminal.
#pragma once

#include <string>

namespace drawing {

/// Whether standard output is a terminal that wants colours (NO_COLOR is honoured, see no-color.org).
[[nodiscard]] bool fancy_output();

/// A bar of `width` columns of which the given share, 0 to 1, is filled, to an eighth of a column.
[[nodiscard]] std::string bar(double share, int width);

}  // namespace drawing
