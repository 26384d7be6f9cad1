// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/read_file.hpp>

#include "support/catch.hpp"
#include "support/own_path.hpp"

#include <filesystem>
#include <fstream>
#include <string>

namespace hg = headgate;
namespace fs = std::filesystem;
using headgate_test::contains;

TEST_CASE("read_file gives all bytes of a file that is small enough", "[io][read_file]") {
  const fs::path path = headgate_test::own_path("headgate_read_file_test");
  const std::string bytes("a\r\n\0\xff\x1az", 7);
  std::ofstream(path, std::ios::binary) << bytes;
  CHECK(hg::read_file(path, 7) == bytes);
  CHECK_THROWS_WITH(hg::read_file(path, 6), path.string() + ": has 7 bytes, at most 6 are read");
  std::ofstream(path, std::ios::binary).close();
  CHECK(hg::read_file(path, 0).empty());
  fs::remove(path);
  CHECK_THROWS_WITH(hg::read_file(path, 7), path.string() + ": is not a file that can be read");
  CHECK_THROWS_WITH(hg::read_file(fs::temp_directory_path(), 7), contains(": is not a file that can be read"));
}
