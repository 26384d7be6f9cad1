// SPDX-License-Identifier: BSD-3-Clause
// Temporary paths of one process: ctest runs test cases side by side, each in a process of its own.
#pragma once

#include <filesystem>
#include <random>
#include <string>

namespace headgate_test {

inline std::filesystem::path own_path(const std::string& name) {
  static const auto process = std::random_device{}();
  return std::filesystem::temp_directory_path() / (std::to_string(process) + "_" + name);
}

}  // namespace headgate_test
