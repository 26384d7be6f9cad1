// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/error.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <limits>

namespace hg = headgate;

TEST_CASE("a sentence is its parts one after the other", "[core][error]") {
  CHECK(hg::sentence() == "");
  CHECK(hg::sentence("k is ", 3, ", at most ", hg::index{2}) == "k is 3, at most 2");
  CHECK(hg::sentence(std::string("a"), std::string_view("b"), "c") == "abc");
  CHECK(hg::sentence(-1, " ", std::size_t{7}) == "-1 7");
  CHECK(hg::sentence(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(hg::sentence(0.5F, " ", -1e-30, " ", std::numeric_limits<double>::quiet_NaN()) == "0.5 -1e-30 nan");
}

TEST_CASE("refuse throws the sentence as an invalid argument", "[core][error]") {
  CHECK_THROWS_AS(hg::refuse("no"), std::invalid_argument);
  CHECK_THROWS_WITH(hg::refuse("layer: x has ", 3, " columns, it must have ", 4),
                    "layer: x has 3 columns, it must have 4");
}
