// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/frozen.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

#include "support/expert_checks.hpp"

using namespace headgate_test;

namespace {

using swiglu = hg::swiglu_expert<double, hg::dynamic, hg::dynamic, hg::biases::used>;

}  // namespace

TEST_CASE("frozen passes the right gradient to its input", "[experts][frozen]") {
  check_expert_gradients(hg::frozen{swiglu{.model = 5, .hidden = 7}});
}

TEST_CASE("frozen computes what its expert computes and gives its parameters no gradient", "[experts][frozen]") {
  bank plain(swiglu{.model = 5, .hidden = 7});
  bank frozen(hg::frozen{swiglu{.model = 5, .hidden = 7}});
  CHECK(same_matrix(frozen.forward(), plain.forward()));
  auto plain_dp = plain.zero_gradients(), frozen_dp = frozen.zero_gradients();
  CHECK(same_matrix(frozen.backward(frozen_dp), plain.backward(plain_dp)));
  for (const auto& dp : frozen_dp)
    CHECK((dp.up.isZero(0) && dp.gate.isZero(0) && dp.down.isZero(0) && dp.up_bias.isZero(0)));
  CHECK_FALSE(plain_dp[0].up.isZero(0));
}

TEST_CASE("optimisers do not see frozen parameters, files do", "[experts][frozen]") {
  hg::layer layer{hg::topk_gate<double>{.head = {.model = 5, .experts = 2}, .select = {.k = 1}},
                  swiglu{.model = 5, .hidden = 7}, hg::frozen{hg::swiglu_expert<double>{.model = 5, .hidden = 3}}, 1};
  auto grads = layer.zero_gradients();
  std::string trained, stored;
  layer.for_each_parameter(grads,
                           [&](std::string_view name, auto&, const auto&) { trained += std::string(name) + " "; });
  layer.for_each_tensor([&](std::string_view name, auto&) { stored += std::string(name) + " "; });
  CHECK(trained.find("shared") == std::string::npos);
  CHECK(stored == trained + "shared.gate shared.up shared.down ");
}

TEST_CASE("frozen checks the options of its expert", "[experts][frozen]") {
  CHECK(refusal([] { hg::frozen{swiglu{.model = 5, .hidden = 0}}.check(); }) ==
        "glu_expert: hidden is 0, it must be at least 1");
}

TEST_CASE("frozen refuses parameters of other shapes", "[experts][frozen]") {
  const hg::frozen expert{hg::linear_expert<float>{.model = 3, .outputs = 4}};
  std::mt19937_64 generator(1);
  const auto drawn = expert.init(generator);
  CHECK_NOTHROW(expert.check(drawn));
  {
    auto p = drawn;
    p.weight.resize(3, 4);
    CHECK(refusal([&] { expert.check(p); }) == "linear_expert: weight is 3 x 4, it must be 4 x 3");
  }
}
