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

struct product {  // of both projections: what the bilinear expert computes
  template <class V>
  V value(V gate, V up) const {
    return gate * up;
  }
  template <class V>
  hg::pair_gradient<V> gradient(V gate, V up) const {
    return {up, gate};
  }
};

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

TEST_CASE("a GLU of a pair activation has the right gradients", "[experts][glu]") {
  for (const hg::clamped_swiglu& act :
       {hg::clamped_swiglu{.limit = 0.7}, hg::clamped_swiglu{.limit = 0.7, .alpha = 1, .up_offset = 0},
        hg::clamped_swiglu{.limit = 0.7, .gate_clamp = hg::gate_clamp::both_sides}}) {
    check_expert_gradients(glu<hg::clamped_swiglu>{.model = 5, .hidden = 7, .activation = act});
    check_expert_gradients(glu<hg::clamped_swiglu, hg::biases::used>{.model = 5, .hidden = 7, .activation = act});
  }
  check_expert_gradients(glu<product, hg::biases::used>{.model = 5, .hidden = 7});
}

TEST_CASE("a pair activation gets both projections, biases included", "[experts][glu]") {
  const hg::clamped_swiglu act{.limit = 0.7};
  bank b(glu<hg::clamped_swiglu, hg::biases::used>{.model = 19, .hidden = 37, .activation = act});
  const auto y = b.forward();
  for (hg::index s = 0; s < b.slots(); ++s) {
    const auto& p = b.params[s < 4 ? 0 : 2];
    const auto x = b.x.row(b.rows[static_cast<std::size_t>(s)]);
    const hg::matrix<double> u = x * p.gate.transpose() + p.gate_bias, v = x * p.up.transpose() + p.up_bias;
    hg::matrix<double> h(1, 37);
    for (hg::index i = 0; i < 37; ++i) {
      const double gate = (std::min)(u(0, i), 0.7), up = (std::min)((std::max)(v(0, i), -0.7), 0.7);
      h(0, i) = gate / (1 + std::exp(-1.702 * gate)) * (up + 1);
    }
    const hg::matrix<double> expected = h * p.down.transpose() + p.down_bias;
    CHECK((y.row(s) - expected).cwiseAbs().maxCoeff() < 1e-12);
  }
}

TEMPLATE_TEST_CASE("the product as a pair activation has the bits of the bilinear expert", "[experts][glu]", float,
                   double) {
  bank pair(hg::glu_expert<TestType, product>{.model = 19, .hidden = 37});
  bank single(hg::bilinear_expert<TestType>{.model = 19, .hidden = 37});
  CHECK(same_matrix(pair.forward(), single.forward()));
  auto dp = pair.zero_gradients();
  auto dq = single.zero_gradients();
  CHECK(same_matrix(pair.backward(dp), single.backward(dq)));
  for (std::size_t e = 0; e < dp.size(); ++e)
    CHECK((same_matrix(dp[e].gate, dq[e].gate) && same_matrix(dp[e].up, dq[e].up)));
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
  check_block_equals_grouped(hg::clamped_swiglu_expert<TestType>{.model = 21, .hidden = 35});
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
  CHECK(refusal([] { glu<hg::clamped_swiglu>{.model = 3, .hidden = 2, .activation = {.limit = -1}}.check(); }) ==
        "clamped_swiglu: limit is -1, it must be greater than 0");
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
