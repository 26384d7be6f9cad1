// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/testing/conformance.hpp>

#include <headgate/testing/archetypes.hpp>

#include "support/catch.hpp"

namespace hg = headgate;

TEST_CASE("the archetypes of gates and experts pass the checks of conformance.hpp", "[testing][conformance]") {
  CHECK(hg::testing::check_gate(hg::testing::archetype_gate<>(3, 2), {.rows_are_independent = false}));
  CHECK(hg::testing::check_gate(hg::testing::archetype_trainable_gate<>(3, 2)));
  CHECK(hg::testing::check_expert(hg::testing::archetype_expert<>(3)));
  CHECK(hg::testing::check_expert(hg::testing::archetype_trainable_expert<>(3)));
}
