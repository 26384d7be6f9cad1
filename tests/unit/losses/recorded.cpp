// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/recorded.hpp>

#include "support/catch.hpp"

namespace hg = headgate;

TEST_CASE("a block that the gate leaves empty is refused by name", "[losses][recorded]") {
  hg::scratch<float> block, gradient;
  CHECK_THROWS_WITH(hg::check_recorded("my_loss", "router logits", block, gradient),
                    "my_loss: the gate records no router logits");
}

TEST_CASE("a gradient of another record is refused with both shapes", "[losses][recorded]") {
  hg::scratch<float> block, gradient;
  block.zero(3, 4);
  gradient.zero(2, 4);
  CHECK_THROWS_WITH(hg::check_recorded("my_loss", "scores", block, gradient),
                    "my_loss: the gradient of the scores is 2 x 4, the record's are 3 x 4");
  gradient.zero(3, 4);
  CHECK_NOTHROW(hg::check_recorded("my_loss", "scores", block, gradient));
}
