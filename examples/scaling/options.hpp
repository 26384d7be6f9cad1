// SPDX-License-Identifier: BSD-3-Clause
// What the command line says.
#pragma once

#include "setting.hpp"

#include <optional>

namespace scaling {

/// Nothing if help was asked for, which is then printed. Every fault is a std::exception of one sentence.
[[nodiscard]] std::optional<setting> parse_options(int count, const char* const* arguments);

}  // namespace scaling
