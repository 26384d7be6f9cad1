// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/linear.hpp>

#include "support/expert_checks.hpp"

using namespace headgate_test;

namespace {

template <hg::biases Bias = hg::biases::none>
using linear = hg::linear_expert<double, hg::dynamic, hg::dynamic, Bias>;

}  // namespace

TEST_CASE("linear_expert has the right gradients with and without bias", "[experts][linear]") {
  check_expert_gradients(linear<>{.model = 5, .outputs = 3});
  check_expert_gradients(linear<hg::biases::used>{.model = 5, .outputs = 3});
}

TEST_CASE("linear_expert computes its formula", "[experts][linear]") {
  bank b(linear<hg::biases::used>{.model = 19, .outputs = 37});
  const auto y = b.forward();
  for (hg::index s = 0; s < b.slots(); ++s) {
    const auto& p = b.params[s < 4 ? 0 : 2];
    const hg::matrix<double> expected = b.x.row(b.rows[static_cast<std::size_t>(s)]) * p.weight.transpose() + p.bias;
    CHECK((y.row(s) - expected).cwiseAbs().maxCoeff() < 1e-13);
  }
}

TEMPLATE_TEST_CASE("linear_expert alone and in a group has the same bits", "[experts][linear]", float, double) {
  check_block_equals_grouped(
      hg::linear_expert<TestType, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 21, .outputs = 35});
}

TEST_CASE("linear_expert refuses sizes below one", "[experts][linear]") {
  CHECK(refusal([] { linear<>{.model = -1, .outputs = 3}.check(); }) ==
        "linear_expert: model is -1, it must be at least 1");
  CHECK(refusal([] { linear<>{.model = 3, .outputs = 0}.check(); }) ==
        "linear_expert: outputs is 0, it must be at least 1");
}

TEST_CASE("linear_expert refuses parameters of other shapes", "[experts][linear]") {
  const hg::linear_expert<float, hg::dynamic, hg::dynamic, hg::biases::used> expert{.model = 3, .outputs = 4};
  std::mt19937_64 generator(1);
  const auto drawn = expert.init(generator);
  CHECK_NOTHROW(expert.check(drawn));
  {
    auto p = drawn;
    p.weight.resize(3, 4);
    CHECK(refusal([&] { expert.check(p); }) == "linear_expert: weight is 3 x 4, it must be 4 x 3");
  }
  {
    auto p = drawn;
    p.bias.resize(1, 3);
    CHECK(refusal([&] { expert.check(p); }) == "linear_expert: bias is 1 x 3, it must be 1 x 4");
  }
}
