// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/token_mask.hpp>

#include "support/catch.hpp"

namespace hg = headgate;

TEST_CASE("an empty mask lets every token count", "[losses][token_mask]") {
  const hg::token_mask counts("loss", {}, 3);
  CHECK(counts.counting() == 3);
  CHECK((counts(0) && counts(1) && counts(2)));
}

TEST_CASE("true in a mask means that the token counts", "[losses][token_mask]") {
  const bool mask[4] = {true, false, false, true};
  const hg::token_mask counts("loss", mask, 4);
  CHECK(counts.counting() == 2);
  CHECK(counts(0));
  CHECK_FALSE(counts(1));
  CHECK_FALSE(counts(2));
  CHECK(counts(3));
}

TEST_CASE("a mask of the wrong length is refused with both numbers", "[losses][token_mask]") {
  const bool mask[4] = {true, false, false, true};
  CHECK_THROWS_WITH(hg::token_mask("my_loss", mask, 5), "my_loss: the mask has 4 entries, the batch has 5 tokens");
}

TEST_CASE("on a record, tokens count that count in the mask and in that of the pass", "[losses][token_mask]") {
  const bool of_pass[4] = {true, true, false, false}, own[4] = {true, false, true, false};
  hg::routing<float> r;
  r.reset(4, 2);
  CHECK(hg::token_mask("loss", {}, r).counting() == 4);
  r.keep_mask(of_pass);
  const hg::token_mask of_record("loss", {}, r), both("loss", own, r);
  CHECK((of_record(0) && of_record(1) && !of_record(2) && !of_record(3)));
  CHECK(of_record.counting() == 2);
  CHECK((both(0) && !both(1) && !both(2) && !both(3)));
  CHECK(both.counting() == 1);
  CHECK_THROWS_WITH(hg::token_mask("my_loss", {own, 3}, r), "my_loss: the mask has 3 entries, the batch has 4 tokens");
}

TEST_CASE("a record whose tokens were changed under its mask is refused", "[losses][token_mask]") {
  const bool of_pass[4] = {true, true, false, false};
  hg::routing<float> r;
  r.reset(4, 2);
  r.keep_mask(of_pass);
  r.tokens = 5;
  CHECK_FALSE(hg::token_mask::fit({}, r));
  CHECK_THROWS_WITH(hg::token_mask("my_loss", {}, r),
                    "my_loss: the pass's mask has 4 entries, the record has 5 tokens");
}
