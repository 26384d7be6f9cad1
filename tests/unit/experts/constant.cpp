// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/constant.hpp>
#include <headgate/testing/check_expert.hpp>

#include "support/expert_checks.hpp"

using namespace headgate_test;

TEST_CASE("constant_expert gives its bias for every row", "[experts][constant]") {
  bank b(hg::constant_expert<double>{.model = 5, .outputs = 3});
  const auto y = b.forward();
  for (hg::index s = 0; s < b.slots(); ++s) CHECK(same_matrix(y.row(s), b.params[s < 4 ? 0 : 2].bias));
  CHECK_FALSE(b.params[0].bias.isZero(0));
}

TEST_CASE("constant_expert has the right gradients", "[experts][constant]") {
  check_expert_gradients(hg::constant_expert<double>{.model = 5, .outputs = 3});
  CHECK(hg::testing::check_expert(hg::constant_expert<double>{.model = 5, .outputs = 3}));
  CHECK(hg::testing::check_expert(hg::constant_expert<float, 4, 4>{}));
}

TEST_CASE("a constant gives its input no gradient, and wants none where it is frozen", "[experts][constant]") {
  bank b(hg::constant_expert<double>{.model = 5, .outputs = 3});
  std::vector<hg::constant_expert<double>::params> none;
  (void)b.forward();
  CHECK(b.backward(none).isZero(0));
}

TEMPLATE_TEST_CASE("constant_expert alone and in a group has the same bits", "[experts][constant]", float, double) {
  check_block_equals_grouped(hg::constant_expert<TestType>{.model = 21, .outputs = 35});
}

TEST_CASE("constant_expert starts at zero and refuses sizes below one", "[experts][constant]") {
  std::mt19937_64 generator(1);
  CHECK(hg::constant_expert<double>{.model = 5, .outputs = 3}.init(generator).bias.isZero(0));
  CHECK(refusal([] { hg::constant_expert<double>{.model = 0, .outputs = 3}.check(); }) ==
        "constant_expert: model is 0, it must be at least 1");
  CHECK(refusal([] { hg::constant_expert<double>{.model = 3, .outputs = 0}.check(); }) ==
        "constant_expert: outputs is 0, it must be at least 1");
}
