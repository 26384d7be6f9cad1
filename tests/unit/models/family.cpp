// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/deepseek_v3.hpp>
#include <headgate/models/family.hpp>
#include <headgate/models/gshard.hpp>
#include <headgate/models/mixtral.hpp>

#include "support/catch.hpp"

#include <type_traits>

namespace hg = headgate;

static_assert(hg::loadable_family<hg::mixtral> && hg::loadable_family<hg::deepseek_v3>);
static_assert(hg::moe_family<hg::gshard> && !hg::loadable_family<hg::gshard>);  // its checkpoints have no names we know
static_assert(!hg::moe_family<int>);
static_assert(
    std::is_same_v<hg::family_layer<hg::mixtral>, hg::layer<hg::mixtral::gate<float>, hg::swiglu_expert<float>>>);

TEST_CASE("a family's layer is drawn from a seed, in float and in double", "[models][family]") {
  const hg::mixtral::shape shape{.model = 6, .hidden = 5, .experts = 4, .k = 2};
  const auto one = hg::make_moe_layer<hg::mixtral>(shape, 1);
  const auto same = hg::make_moe_layer<hg::mixtral>(shape, 1);
  const auto wide = hg::make_moe_layer<hg::mixtral, double>(shape, 1);
  const hg::matrix<float> x = hg::matrix<float>::Random(9, 6);
  CHECK(one(x) == same(x));
  CHECK(one.experts() == 4);
  CHECK(one(x).cast<double>().isApprox(wide(x.cast<double>()), 1e-5));
}

TEST_CASE("a shape that makes no sense is refused as any layer's is", "[models][family]") {
  CHECK_THROWS_WITH(hg::make_moe_layer<hg::mixtral>({.model = 6, .hidden = 5, .experts = 4, .k = 5}, 1),
                    "top_k: k is 5, the gate has 4 experts");
  CHECK_THROWS_AS(hg::make_moe_layer<hg::deepseek_v3>({.model = 6, .hidden = 5, .experts = 7, .k = 2, .groups = 2}, 1),
                  std::invalid_argument);
}
