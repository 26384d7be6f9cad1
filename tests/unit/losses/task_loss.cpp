// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/losses/task_loss.hpp>

#include "support/catch.hpp"

namespace hg = headgate;

TEST_CASE("a task loss unpacks into its value and its gradient", "[losses][task_loss]") {
  const auto [value, gradient] = hg::task_loss<float>{.value = 2.5f, .gradient = hg::matrix<float>::Ones(2, 3)};
  CHECK(value == 2.5f);
  CHECK(gradient.size() == 6);
  CHECK(hg::task_loss<float>{}.value == 0);
}
