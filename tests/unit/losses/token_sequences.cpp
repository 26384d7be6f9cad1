// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/token_sequences.hpp>

#include "support/catch.hpp"
#include "unit/losses/records.hpp"

namespace hg = headgate;
using namespace headgate_test;

TEST_CASE("sequences of one length divide the batch", "[losses][token_sequences]") {
  const hg::token_sequences s("loss", 3, {}, 12);
  CHECK(s.count() == 4);
  for (hg::index t = 0; t < 12; ++t) {
    CHECK(s.of(t) == t / 3);
    CHECK((s.begin(s.of(t)) <= t && t < s.end(s.of(t))));
  }
  CHECK(hg::token_sequences("loss", 3, {}, 0).count() == 0);
}

TEST_CASE("sequences by offsets may be of any length, empty ones included", "[losses][token_sequences]") {
  const std::vector<hg::index> offsets = {0, 0, 2, 2, 2, 7, 7};
  const hg::token_sequences s("loss", 0, offsets, 7);
  CHECK(s.count() == 6);
  for (hg::index t = 0; t < 7; ++t) {
    CHECK(s.of(t) == (t < 2 ? 1 : 4));
    CHECK((s.begin(s.of(t)) <= t && t < s.end(s.of(t))));
  }
  CHECK(s.begin(2) == s.end(2));
}

TEST_CASE("the whole batch is one sequence", "[losses][token_sequences]") {
  const hg::token_sequences s(5);
  CHECK((s.count() == 1 && s.begin(0) == 0 && s.end(0) == 5 && s.of(4) == 0));
}

TEST_CASE("sequences that do not cover the batch are refused", "[losses][token_sequences]") {
  const auto make = [](hg::index length, std::vector<hg::index> offsets) {
    hg::token_sequences("loss", length, offsets, 7);
  };
  CHECK_THROWS_WITH(make(0, {}), "loss: the sequences have neither a length above 0 (it is 0) nor offsets");
  CHECK_THROWS_WITH(make(-1, {}), contains("it is -1"));
  CHECK_THROWS_WITH(make(3, {}), "loss: the batch has 7 tokens, no multiple of the length 3");
  CHECK_THROWS_WITH(make(7, {0, 7}), "loss: the sequences have a length (7) and offsets, give one of them");
  CHECK_THROWS_WITH(make(0, {0, 6}), "loss: the offsets go from 0 to 6, the tokens from 0 to 7");
  CHECK_THROWS_WITH(make(0, {1, 7}), contains("from 1 to 7"));
  CHECK_THROWS_WITH(make(0, {0, 5, 4, 7}), "loss: the offsets fall from 5 to 4, they must ascend");
}
