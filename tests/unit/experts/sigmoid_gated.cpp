// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/frozen.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/lora.hpp>
#include <headgate/experts/sigmoid_gated.hpp>
#include <headgate/parallel/thread_pool.hpp>
#include <headgate/testing/check_expert.hpp>

#include "support/expert_checks.hpp"
#include "support/shuffled.hpp"

using namespace headgate_test;

namespace {

template <class T>
using swiglu = hg::swiglu_expert<T, hg::dynamic, hg::dynamic, hg::biases::used>;

/// As a user would write it: one block, its backward without groups.
struct scaling_expert {
  using scalar = double;
  struct params {
    hg::matrix<double> scale;
  };
  struct cache {};
  static constexpr auto fields = std::tuple{hg::field{"scale", &params::scale}};
  hg::index model;

  params init(std::mt19937_64& g) const { return {hg::randn<double>(1, model, g)}; }
  void forward(const params& p, hg::in<double> x, hg::out<double> y, cache&) const {
    y = x.array().rowwise() * p.scale.row(0).array();
  }
  void backward(const params& p, hg::in<double> x, hg::in<double> dy, cache&, hg::out<double> dx, params& dp) const {
    dx = dy.array().rowwise() * p.scale.row(0).array();
    dp.scale += dy.cwiseProduct(x).colwise().sum();
  }
};

}  // namespace

TEST_CASE("sigmoid_gated scales its expert's rows by the sigmoid of its gate", "[experts][sigmoid_gated]") {
  bank gated(hg::sigmoid_gated{swiglu<double>{.model = 19, .hidden = 37}});
  bank plain(swiglu<double>{.model = 19, .hidden = 37});
  for (std::size_t e = 0; e < 3; ++e) plain.params[e] = gated.params[e].expert;
  const auto y = gated.forward(), alone = plain.forward();
  for (hg::index s = 0; s < gated.slots(); ++s) {
    const auto x = gated.x.row(gated.rows[static_cast<std::size_t>(s)]);
    const double logit = x.dot(gated.params[s < 4 ? 0 : 2].gate_weight.row(0));
    CHECK((y.row(s) - alone.row(s) / (1 + std::exp(-logit))).cwiseAbs().maxCoeff() < 1e-14);
  }
}

TEST_CASE("sigmoid_gated has the right gradients, through the gate and through the expert",
          "[experts][sigmoid_gated]") {
  check_expert_gradients(hg::sigmoid_gated{swiglu<double>{.model = 5, .hidden = 7}});
  check_expert_gradients(
      hg::sigmoid_gated{hg::lora_expert<double>{.model = 5, .outputs = 3, .rank = 2, .dropout = 0.3}});
  check_expert_gradients(hg::sigmoid_gated{scaling_expert{5}});
  check_expert_gradients(hg::sigmoid_gated{hg::frozen{swiglu<double>{.model = 5, .hidden = 7}}});
  check_expert_gradients(hg::frozen{hg::sigmoid_gated{swiglu<double>{.model = 5, .hidden = 7}}});
  CHECK(hg::testing::check_expert(hg::sigmoid_gated{swiglu<double>{.model = 5, .hidden = 7}}));
  CHECK(hg::testing::check_expert(hg::sigmoid_gated{swiglu<float>{.model = 21, .hidden = 33}}));
}

TEMPLATE_TEST_CASE("sigmoid_gated alone, in a group and on threads has the same bits", "[experts][sigmoid_gated]",
                   float, double) {
  const hg::sigmoid_gated expert{swiglu<TestType>{.model = 21, .hidden = 35}};
  check_block_equals_grouped(expert);
  bank b(expert);
  const auto y = b.forward();
  auto dp = b.zero_gradients();
  const auto dx = b.backward(dp);
  const hg::thread_pool pool(3);
  auto dq = b.zero_gradients();
  CHECK(same_matrix(b.forward(pool), y));
  CHECK(same_matrix(b.backward(dq, pool), dx));
  CHECK(same_matrix(b.forward(shuffled{3, 1}), y));
  for (std::size_t e = 0; e < 3; ++e) CHECK(same_matrix(dp[e].gate_weight, dq[e].gate_weight));
}

TEST_CASE("a backward of sigmoid_gated may be repeated", "[experts][sigmoid_gated]") {
  bank b(hg::sigmoid_gated{swiglu<double>{.model = 5, .hidden = 7}});
  b.forward();
  auto dp = b.zero_gradients();
  const auto dx = b.backward(dp);
  CHECK(same_matrix(b.backward(dp), dx));
}

TEST_CASE("the gate's weight stands beside the parameters of the expert", "[experts][sigmoid_gated]") {
  using expert = hg::sigmoid_gated<hg::frozen<hg::ffn_expert<float>>>;
  std::mt19937_64 generator(1);
  auto p = expert{{{.model = 4, .hidden = 6}}}.init(generator);
  CHECK((p.gate_weight.rows() == 1 && p.gate_weight.cols() == 4));
  std::string stored, trained;
  const auto append = [](std::string& names) {
    return [&names](std::string_view name, const auto&) { names += std::string(name) + " "; };
  };
  hg::field_path path;
  auto store = append(stored), train = append(trained);
  hg::for_each_field<expert, hg::fields_of::storage>(path, store, p);
  hg::for_each_field<expert, hg::fields_of::training>(path, train, p);
  CHECK(stored == "gate_weight up down ");
  CHECK(trained == "gate_weight ");
}

TEST_CASE("sigmoid_gated checks the options of its expert", "[experts][sigmoid_gated]") {
  CHECK(refusal([] { hg::sigmoid_gated{swiglu<double>{.model = 5, .hidden = 0}}.check(); }) ==
        "glu_expert: hidden is 0, it must be at least 1");
}
