// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/testing/report.hpp>

#include "support/catch.hpp"

#include <sstream>

using headgate::testing::report;

TEST_CASE("a report without failures is true", "[testing][report]") {
  report r;
  r.require(true, "two is ", 3);
  CHECK(r);
  CHECK(r.text().empty());
}

TEST_CASE("a report keeps one sentence for each failure", "[testing][report]") {
  report r, more;
  r.require(false, "two is ", 3);
  more.require(false, "four is ", 4.5);
  r.include(more);
  r.include(report{});
  CHECK_FALSE(r);
  CHECK(r.text() == "two is 3\nfour is 4.5\n");
}

TEST_CASE("a report prints what it says", "[testing][report]") {
  std::ostringstream good, bad;
  report r;
  good << r;
  r.require(false, "one failure");
  bad << r;
  CHECK(good.str() == "no failure");
  CHECK(bad.str() == "one failure\n");
}
