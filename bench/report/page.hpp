// SPDX-License-Identifier: BSD-3-Clause
// The page: pictures, tables, and what one must know to believe them. Self-contained.
#pragma once

#include <string>

#include "report/results.hpp"

namespace headgate_report {

[[nodiscard]] std::string make_page(const results& r);

}  // namespace headgate_report
