// SPDX-License-Identifier: BSD-3-Clause
// The input as a file, for parsers that read from disk.
#pragma once

#include "support/own_path.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace headgate_fuzz {

/// A file of this process, which every input overwrites; gone at the end.
class file_on_disk {
 public:
  explicit file_on_disk(const std::string& name) : path_(headgate_test::own_path("headgate_fuzz_" + name)) {}
  file_on_disk(const file_on_disk&) = delete;
  file_on_disk& operator=(const file_on_disk&) = delete;
  ~file_on_disk() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  void write(const std::uint8_t* data, std::size_t size) const {
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  }

 private:
  std::filesystem::path path_;
};

}  // namespace headgate_fuzz
