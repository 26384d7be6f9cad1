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
