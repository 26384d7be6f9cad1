// SPDX-License-Identifier: BSD-3-Clause
// A small file as one text.
#pragma once

#include <headgate/config.hpp>
#include <headgate/io/refuse_file.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace headgate {
inline namespace HEADGATE_ABI {

/// All bytes of a file that has at most `most` of them. A file that is missing, too large or cannot be read is refused.
[[nodiscard]] inline std::string read_file(const std::filesystem::path& path, std::uintmax_t most) {
  const std::string where = path.string();
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) refuse_file(where, "is not a file that can be read");
  const auto bytes = std::filesystem::file_size(path, error);
  std::ifstream stream(path, std::ios::binary);
  if (error || !stream) refuse_file(where, "cannot be opened for reading");
  if (bytes > most) refuse_file(where, "has ", bytes, " bytes, at most ", most, " are read");
  std::string text(static_cast<std::size_t>(bytes), '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!stream) refuse_file(where, "cannot be read (", bytes, " bytes wanted)");
  return text;
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
