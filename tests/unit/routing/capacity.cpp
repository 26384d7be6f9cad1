// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/routing/capacity.hpp>

#include "support/layer_checks.hpp"

#include <algorithm>
#include <array>

using namespace headgate_test;

TEST_CASE("a capacity can be a share of the tokens, however many assignments are left of them", "[routing][capacity]") {
  const hg::capacity of_tokens{.factor = 1.25, .round = hg::rounding::down, .of = hg::share_of::tokens};
  for (const hg::index assignments : {128, 100, 64}) CHECK(of_tokens.limit_of(assignments, 64, 8) == 10);
  const hg::capacity of_assignments{.factor = 1.25, .round = hg::rounding::down};
  CHECK(of_assignments.limit_of(128, 64, 8) == 20);
  CHECK(hg::capacity{.of = hg::share_of::tokens}.limit_of(128, 64, 8) == 128);  // dropless
}

TEST_CASE("capacity is dropless by default", "[routing][capacity]") {
  const hg::capacity all;
  CHECK(all.is_dropless());
  CHECK(all.limit(17, 4) == 17);
  CHECK(refusal([&] { all.check(); }).empty());
}

TEST_CASE("capacity is the share of each expert times the factor, rounded up, and at least the minimum",
          "[routing][capacity]") {
  CHECK(hg::capacity{.factor = 1}.limit(8, 4) == 2);
  CHECK(hg::capacity{.factor = 1}.limit(9, 4) == 3);
  CHECK(hg::capacity{.factor = 1.25}.limit(64, 8) == 10);
  CHECK(hg::capacity{.factor = 0.001}.limit(8, 4) == 1);
  CHECK(hg::capacity{.factor = 0.001, .minimum = 3}.limit(8, 4) == 3);
  CHECK(hg::capacity{.factor = 1e300}.limit(8, 4) == 8);
  CHECK(hg::capacity{.factor = 1}.limit(0, 4) == 1);
}

TEST_CASE("capacity refuses a factor or a minimum that keeps nothing", "[routing][capacity]") {
  const auto said = [](hg::capacity c) { return refusal([&] { c.check(); }); };
  CHECK(said({.factor = 0}) == "capacity: factor is 0, it must be greater than 0");
  CHECK(said({.factor = -1.5}) == "capacity: factor is -1.5, it must be greater than 0");
  CHECK_THAT(said({.factor = not_a_number<double>}), contains("nan, it must be greater than 0"));
  CHECK(said({.factor = 1, .minimum = 0}) == "capacity: minimum is 0, it must be at least 1");
  CHECK(said({.minimum = -3}) == "capacity: minimum is -3, it must be at least 1");
}

TEST_CASE("capacity rounds down on request, as models do that divide whole numbers", "[routing][capacity]") {
  const auto of = [](double factor, hg::index assignments, hg::index experts) {
    return hg::capacity{.factor = factor, .round = hg::rounding::down}.limit(assignments, experts);
  };
  CHECK(of(1, 9, 4) == 2);
  CHECK(of(1, 8, 4) == 2);
  CHECK(of(1.25, 64, 8) == 10);
  CHECK(of(1.25, 65, 8) == 10);
  CHECK(of(1, 3, 4) == 1);  // the minimum
  CHECK(of(1e300, 8, 4) == 8);
  for (const hg::index tokens : {1, 5, 16, 100})  // Hunyuan: max(k, k tokens / experts)
    for (const hg::index k : {1, 2, 8})
      CHECK(hg::capacity{.factor = 1, .minimum = k, .round = hg::rounding::down}.limit(k * tokens, 16) ==
            (std::max)(k, k * tokens / 16));
}

TEST_CASE("a fixed capacity is the same for every batch, whatever the minimum", "[routing][capacity]") {
  const hg::capacity three{.minimum = 7, .fixed = 3};
  CHECK_FALSE(three.is_dropless());
  CHECK(three.limit(1000, 2) == 3);
  CHECK(three.limit(0, 4) == 3);
  CHECK(refusal([&] { three.check(); }).empty());
}

TEST_CASE("capacity refuses a fixed number below 0, or beside a factor", "[routing][capacity]") {
  CHECK(refusal([] { hg::capacity{.fixed = -2}.check(); }) ==
        "capacity: fixed is -2, it must be at least 1, or 0 for none");
  CHECK(refusal([] { hg::capacity{.factor = 1.25, .fixed = 4}.check(); }) ==
        "capacity: fixed is 4 and factor is 1.25, only one of them can set the capacity");
}

TEST_CASE("a share that is a whole number for the factor as it is written is that number, rounded up or down",
          "[routing][capacity]") {
  const auto both = [](double factor, hg::index assignments, hg::index experts) {
    const hg::index up = hg::capacity{.factor = factor}.limit(assignments, experts);
    const hg::index down = hg::capacity{.factor = factor, .round = hg::rounding::down}.limit(assignments, experts);
    return std::array{up, down};
  };
  CHECK(both(1.1, 100, 10) == std::array<hg::index, 2>{11, 11});
  CHECK(both(1.12, 10000, 8) == std::array<hg::index, 2>{1400, 1400});
  CHECK(both(1.13, 10000, 10) == std::array<hg::index, 2>{1130, 1130});
  // Every factor of two digits after the point, against whole numbers.
  bool same = true;
  for (hg::index hundredths = 1; hundredths <= 800; ++hundredths)
    for (const hg::index assignments : {1, 7, 64, 100, 1000, 4096, 10000, 1 << 20, 123456789})
      for (const hg::index experts : {1, 3, 8, 10, 60, 64, 256}) {
        const hg::index share = hundredths * assignments, whole = 100 * experts;
        const auto expected = [&](hg::index rounded) {
          return (std::max)(hg::index{1}, (std::min)(rounded, assignments));
        };
        same = same && both(static_cast<double>(hundredths) / 100, assignments, experts) ==
                           std::array{expected((share + whole - 1) / whole), expected(share / whole)};
      }
  CHECK(same);
  // What is a little more than a whole number stays so.
  CHECK(both(1.1, 1000001, 10) == std::array<hg::index, 2>{110001, 110000});
  CHECK(both(1 + 1e-12, 100, 10) == std::array<hg::index, 2>{11, 10});
  CHECK(both(1 - 1e-12, 100, 10) == std::array<hg::index, 2>{10, 9});
}
