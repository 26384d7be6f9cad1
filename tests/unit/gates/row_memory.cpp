// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/row_memory.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <vector>

namespace hg = headgate;

TEST_CASE("a block has one row at least, however many experts", "[gates][row_memory]") {
  CHECK(hg::detail::rows_of(2048, 8) == 256);
  CHECK(hg::detail::rows_of(2048, 300) == 6);
  CHECK(hg::detail::rows_of(2048, 100000) == 1);
}

TEST_CASE("with_constant hands every count on", "[gates][row_memory]") {
  for (hg::index count = 0; count < 20; ++count)
    CHECK(hg::detail::with_constant(count, [](auto constant) { return hg::index{constant}; }) == count);
}

TEST_CASE("the memory of a worker remembers its first refused token until it is reset", "[gates][row_memory]") {
  hg::detail::row_memory<float> memory;
  memory.reset(4, 6);
  CHECK(memory.ids.size() == 10);
  CHECK(memory.refused == -1);
  memory.refuse_token(7);
  memory.refuse_token(3);
  memory.refuse_token(5);
  CHECK(memory.refused == 3);
  memory.named_by[2] = 9;
  memory.any_off = true;
  memory.reset(4, 0);
  CHECK(memory.refused == -1);
  CHECK_FALSE(memory.any_off);
  CHECK(memory.named_by[2] == -1);
}

TEST_CASE("the memory of a worker finds logits that are refused, and remembers whether experts are switched off",
          "[gates][row_memory]") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  hg::detail::row_memory<double> memory;
  memory.reset(3, 0);
  double z[] = {1, 2, 3, 4, 5, 6};
  const double s[] = {7, 8, 9};
  const hg::view<const double> block(z, 2, 3);
  CHECK(memory.first_bad_logit(block) == -1);
  CHECK_FALSE(memory.some_are_off);
  CHECK(memory.scores_to_select(z, s, 3) == s);
  CHECK_FALSE(memory.any_off);
  z[1] = -infinity;
  CHECK(memory.first_bad_logit(block) == -1);
  CHECK(memory.some_are_off);
  const double* const seen = memory.scores_to_select(z, s, 3);
  CHECK(std::vector<double>(seen, seen + 3) == std::vector<double>{7, -infinity, 9});
  CHECK(memory.any_off);
  const double finite[] = {1, 2, 3};
  CHECK(memory.first_bad_logit(hg::view<const double>(finite, 1, 3)) == -1);
  CHECK_FALSE(memory.some_are_off);
  CHECK(memory.any_off);  // of the block before
  z[4] = infinity;
  CHECK(memory.first_bad_logit(block) == 4);
  z[4] = std::nan("");
  CHECK(memory.first_bad_logit(block) == 4);
}

TEST_CASE("what a selection names is checked", "[gates][row_memory]") {
  struct some {};
  headgate::detail::row_memory<double> memory;
  memory.reset(3, 0);
  const headgate::index right[] = {2, 0, 1}, twice[] = {2, 2}, beyond[] = {3}, negative[] = {-1};
  CHECK(memory.names_once<some>(0, right, 3, 3));
  CHECK(memory.names_once<some>(1, right, 0, 3));
  CHECK(!memory.names_once<some>(2, twice, 2, 3));
  CHECK(!memory.names_once<some>(3, beyond, 1, 3));
  CHECK(!memory.names_once<some>(4, negative, 1, 3));
  CHECK(!memory.names_once<some>(5, right, 4, 3));
  CHECK(!memory.names_once<some>(6, right, -1, 3));
}
