// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/activations.hpp>
#include <headgate/experts/ffn.hpp>

#include "support/expert_checks.hpp"

using namespace headgate_test;

namespace {

template <class A, hg::biases Bias = hg::biases::none>
using ffn = hg::ffn_expert<double, A, hg::dynamic, hg::dynamic, Bias>;

struct square {
  template <class V>
  V value(const V& x) const {
    return x * x;
  }
  template <class V>
  V derivative(const V& x) const {
    return x + x;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("ffn_expert has the right gradients with every activation", "[experts][ffn]", hg::identity, hg::relu,
                   hg::leaky_relu, hg::sigmoid, hg::tanh, hg::silu, hg::swish, hg::gelu, hg::gelu_tanh, hg::mish,
                   hg::relu_squared, hg::softplus, hg::elu, hg::selu) {
  check_expert_gradients(ffn<TestType>{.model = 5, .hidden = 7});
  check_expert_gradients(ffn<TestType, hg::biases::used>{.model = 5, .hidden = 7});
}

TEST_CASE("ffn_expert computes its formula", "[experts][ffn]") {
  bank b(ffn<square, hg::biases::used>{.model = 19, .hidden = 37});
  const auto y = b.forward();
  for (hg::index s = 0; s < b.slots(); ++s) {
    const auto& p = b.params[s < 4 ? 0 : 2];
    const hg::matrix<double> pre = b.x.row(b.rows[static_cast<std::size_t>(s)]) * p.up.transpose() + p.up_bias;
    const hg::matrix<double> expected = pre.cwiseAbs2() * p.down.transpose() + p.down_bias;
    CHECK((y.row(s) - expected).cwiseAbs().maxCoeff() < 1e-12);
  }
}

TEMPLATE_TEST_CASE("ffn_expert alone and in a group has the same bits", "[experts][ffn]", float, double) {
  check_block_equals_grouped(
      hg::ffn_expert<TestType, hg::gelu, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 21, .hidden = 35});
  check_block_equals_grouped(hg::ffn_expert<TestType, hg::relu>{.model = 3, .hidden = 130});
}

TEST_CASE("ffn_expert starts with biases of zero and matrices of its shape", "[experts][ffn]") {
  std::mt19937_64 generator(1);
  const auto p = ffn<hg::relu, hg::biases::used>{.model = 4, .hidden = 900}.init(generator);
  CHECK((p.up.rows() == 900 && p.up.cols() == 4 && p.down.rows() == 4 && p.down.cols() == 900));
  CHECK((p.up_bias.cols() == 900 && p.up_bias.isZero(0) && p.down_bias.cols() == 4 && p.down_bias.isZero(0)));
  CHECK(std::sqrt(p.up.squaredNorm() / 3600) == Approx(0.5).epsilon(0.05));         // 1 / sqrt(model)
  CHECK(std::sqrt(p.down.squaredNorm() / 3600) == Approx(1 / 30.0).epsilon(0.05));  // 1 / sqrt(hidden)
  CHECK(ffn<hg::relu>{.model = 4, .hidden = 9}.init(generator).up_bias.size() == 0);
}

TEST_CASE("ffn_expert refuses sizes below one", "[experts][ffn]") {
  CHECK(refusal([] { ffn<hg::relu>{.model = 0, .hidden = 3}.check(); }) ==
        "ffn_expert: model is 0, it must be at least 1");
  CHECK(refusal([] { ffn<hg::relu>{.model = 3, .hidden = -2}.check(); }) ==
        "ffn_expert: hidden is -2, it must be at least 1");
}

TEST_CASE("ffn_expert refuses parameters of other shapes", "[experts][ffn]") {
  const hg::ffn_expert<float, hg::relu, hg::dynamic, hg::dynamic, hg::biases::used> expert{.model = 3, .hidden = 4};
  std::mt19937_64 generator(1);
  const auto drawn = expert.init(generator);
  CHECK_NOTHROW(expert.check(drawn));
  {
    auto p = drawn;
    p.up.resize(3, 4);
    CHECK(refusal([&] { expert.check(p); }) == "ffn_expert: up is 3 x 4, it must be 4 x 3");
  }
  {
    auto p = drawn;
    p.down.resize(4, 3);
    CHECK(refusal([&] { expert.check(p); }) == "ffn_expert: down is 4 x 3, it must be 3 x 4");
  }
  {
    auto p = drawn;
    p.up_bias.resize(1, 3);
    CHECK(refusal([&] { expert.check(p); }) == "ffn_expert: up_bias is 1 x 3, it must be 1 x 4");
  }
  {
    auto p = drawn;
    p.down_bias.resize(0, 0);
    CHECK(refusal([&] { expert.check(p); }) == "ffn_expert: down_bias is 0 x 0, it must be 1 x 3");
  }
  const hg::ffn_expert<float> plain{.model = 3, .hidden = 4};
  auto p = plain.init(generator);
  CHECK_NOTHROW(plain.check(p));
  p.up_bias.resize(1, 4);  // which would be added
  CHECK(refusal([&] { plain.check(p); }) == "ffn_expert: up_bias is 1 x 4, it must be 0 x 0");
}
