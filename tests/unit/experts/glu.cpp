// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/gelu_tanh.hpp>
#include <headgate/activations/swish.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/glu.hpp>

#include "support/expert_checks.hpp"

using namespace headgate_test;

namespace {

template <class A, hg::biases Bias = hg::biases::none>
using glu = hg::glu_expert<double, A, hg::dynamic, hg::dynamic, Bias>;

template <class Params>
hg::index parameter_count(const Params& p) {
  return p.up.size() + p.down.size();
}

}  // namespace

TEMPLATE_TEST_CASE("the whole GLU family has the right gradients", "[experts][glu]", hg::sigmoid, hg::identity,
                   hg::relu, hg::gelu, hg::silu, hg::gelu_tanh, hg::swish) {
  check_expert_gradients(glu<TestType>{.model = 5, .hidden = 7});
  check_expert_gradients(glu<TestType, hg::biases::used>{.model = 5, .hidden = 7});
}

TEST_CASE("glu_expert computes its formula", "[experts][glu]") {
  bank b(glu<hg::relu, hg::biases::used>{.model = 19, .hidden = 37});
  const auto y = b.forward();
  for (hg::index s = 0; s < b.slots(); ++s) {
    const auto& p = b.params[s < 4 ? 0 : 2];
    const auto x = b.x.row(b.rows[static_cast<std::size_t>(s)]);
    const hg::matrix<double> u = x * p.gate.transpose() + p.gate_bias, v = x * p.up.transpose() + p.up_bias;
    const hg::matrix<double> expected = u.cwiseMax(0.0).cwiseProduct(v) * p.down.transpose() + p.down_bias;
    CHECK((y.row(s) - expected).cwiseAbs().maxCoeff() < 1e-12);
  }
}

TEMPLATE_TEST_CASE("glu_expert alone and in a group has the same bits", "[experts][glu]", float, double) {
  check_block_equals_grouped(
      hg::swiglu_expert<TestType, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 21, .hidden = 35});
  check_block_equals_grouped(hg::geglu_expert<TestType>{.model = 3, .hidden = 130});
}

TEST_CASE("the names of the family stand for its activations", "[experts][glu]") {
  CHECK(std::is_same_v<hg::sigmoid_glu_expert<double>, glu<hg::sigmoid>>);
  CHECK(std::is_same_v<hg::bilinear_expert<double>, glu<hg::identity>>);
  CHECK(std::is_same_v<hg::reglu_expert<double>, glu<hg::relu>>);
  CHECK(std::is_same_v<hg::geglu_expert<double>, glu<hg::gelu>>);
  CHECK(std::is_same_v<hg::swiglu_expert<double>, glu<hg::silu>>);
}

TEST_CASE("two thirds of the hidden width give a GLU the parameters of a plain FFN", "[experts][glu]") {
  std::mt19937_64 generator(1);
  const auto plain = hg::ffn_expert<double>{.model = 8, .hidden = 36}.init(generator);
  const auto gated = hg::swiglu_expert<double>{.model = 8, .hidden = 24}.init(generator);
  CHECK(parameter_count(plain) == parameter_count(gated) + gated.gate.size());
}

TEST_CASE("the bilinear expert is 2-homogeneous in its input", "[experts][glu]") {
  bank b(hg::bilinear_expert<double>{.model = 6, .hidden = 11});
  const auto y = b.forward();
  b.x *= -2.0;
  CHECK(same_matrix(b.forward(), hg::matrix<double>(4 * y)));
  b.x *= 1.7 / -2.0;
  CHECK((b.forward() - 1.7 * 1.7 * y).cwiseAbs().maxCoeff() < 1e-13);
}

TEST_CASE("with the constant one on the value path a GLU is the plain FFN of its activation", "[experts][glu]") {
  bank gated(glu<hg::silu, hg::biases::used>{.model = 6, .hidden = 11});
  bank plain(hg::ffn_expert<double, hg::silu, hg::dynamic, hg::dynamic, hg::biases::used>{.model = 6, .hidden = 11});
  for (std::size_t e = 0; e < gated.params.size(); ++e) {
    auto& g = gated.params[e];
    g.up.setZero();
    g.up_bias.setOnes();
    plain.params[e] = {g.gate, g.down, g.gate_bias, g.down_bias};
  }
  CHECK(same_matrix(gated.forward(), plain.forward()));
}

TEST_CASE("glu_expert refuses sizes below one", "[experts][glu]") {
  CHECK(refusal([] { glu<hg::relu>{.model = 0, .hidden = 3}.check(); }) ==
        "glu_expert: model is 0, it must be at least 1");
  CHECK(refusal([] { glu<hg::relu>{.model = 3, .hidden = 0}.check(); }) ==
        "glu_expert: hidden is 0, it must be at least 1");
}

TEST_CASE("glu_expert refuses parameters of other shapes", "[experts][glu]") {
  const hg::swiglu_expert<float, hg::dynamic, hg::dynamic, hg::biases::used> expert{.model = 3, .hidden = 4};
  std::mt19937_64 generator(1);
  const auto drawn = expert.init(generator);
  CHECK_NOTHROW(expert.check(drawn));
  {
    auto p = drawn;
    p.gate.resize(3, 4);
    CHECK(refusal([&] { expert.check(p); }) == "glu_expert: gate is 3 x 4, it must be 4 x 3");
  }
  {
    auto p = drawn;
    p.up.resize(4, 4);
    CHECK(refusal([&] { expert.check(p); }) == "glu_expert: up is 4 x 4, it must be 4 x 3");
  }
  {
    auto p = drawn;
    p.down.resize(4, 3);
    CHECK(refusal([&] { expert.check(p); }) == "glu_expert: down is 4 x 3, it must be 3 x 4");
  }
  {
    auto p = drawn;
    p.gate_bias.resize(4, 1);
    CHECK(refusal([&] { expert.check(p); }) == "glu_expert: gate_bias is 4 x 1, it must be 1 x 4");
  }
  {
    auto p = drawn;
    p.up_bias.resize(1, 3);
    CHECK(refusal([&] { expert.check(p); }) == "glu_expert: up_bias is 1 x 3, it must be 1 x 4");
  }
  {
    auto p = drawn;
    p.down_bias.resize(1, 4);
    CHECK(refusal([&] { expert.check(p); }) == "glu_expert: down_bias is 1 x 4, it must be 1 x 3");
  }
}
