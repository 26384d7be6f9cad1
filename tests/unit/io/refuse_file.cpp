// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/io/refuse_file.hpp>

#include "support/catch.hpp"

#include <stdexcept>
#include <string>

namespace hg = headgate;

TEST_CASE("refuse_file throws a runtime_error that begins with the path", "[io][refuse_file]") {
  CHECK_THROWS_AS(hg::refuse_file("a.bin", "x"), std::runtime_error);
  CHECK_THROWS_WITH(hg::refuse_file("a.bin", "has ", 3, " bytes"), "a.bin: has 3 bytes");
}

TEST_CASE("refuse_file shows hostile names tamely", "[io][refuse_file]") {
  CHECK_THROWS_WITH(hg::refuse_file("a.bin", std::string("x\n\x1b[31m\x7f\0y", 10)), "a.bin: x??[31m??y");
  CHECK_THROWS_WITH(hg::refuse_file("a.bin",
                                    "gr\xc3\xb6\xc3\x9f"
                                    "e"),
                    "a.bin: gr\xc3\xb6\xc3\x9f"
                    "e");
  CHECK_THROWS_WITH(hg::refuse_file("a", std::string(5000, 'x')), "a: " + std::string(997, 'x') + " ...");
}
