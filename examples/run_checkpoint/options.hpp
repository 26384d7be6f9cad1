// SPDX-License-Identifier: BSD-3-Clause
// What the command line says.
#pragma once

#include <headgate/config.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace run_checkpoint {

using headgate::index;

/// Layers first ... last.
struct layer_range {
  index first = 0;
  index last = 0;
};

struct options {
  std::string folder;
  std::vector<layer_range> layers;  ///< none: all
  std::string input;                ///< empty: random
  std::uint64_t seed = 0;
  index tokens = 64;
  index threads = 1;
  index repeat = 5;
  bool experts = false;
  bool check = false;
  index k = 0;
  index skip = 0;
  std::vector<index> off;
  std::string replay;
  bool recorded_weights = false;
  std::string record;
  std::string telemetry;
  std::string output;

  /// What works with one layer only and was asked for, or nullptr.
  [[nodiscard]] const char* for_one_layer() const;
};

/// Nothing if help was asked for, which is then printed. Every fault is a std::exception of one sentence.
[[nodiscard]] std::optional<options> parse_options(int count, const char* const* arguments);

}  // namespace run_checkpoint
