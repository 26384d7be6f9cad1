// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/ffn.hpp>
#include <headgate/experts/linear.hpp>
#include <headgate/experts/shared.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

#include "support/expert_checks.hpp"

using namespace headgate_test;

namespace {

const hg::topk_gate<double> gate{.head = {.model = 6, .experts = 3}, .select = {.k = 2}};
const hg::linear_expert<double> linear{.model = 6, .outputs = 4};
const hg::linear_expert<double, hg::dynamic, hg::dynamic, hg::biases::used> shared{.model = 6, .outputs = 4};

}  // namespace

TEST_CASE("the shared expert adds its output of every token with weight one", "[experts][shared]") {
  hg::layer with{gate, linear, shared, 5};
  const hg::layer without{gate, linear, 5};
  with.params().shared.bias.setRandom();
  const auto x = random_matrix<double>(9, 6, {1});
  const hg::matrix<double> expected =
      without(x) + ((x * with.params().shared.weight.transpose()).rowwise() + with.params().shared.bias.row(0));
  CHECK((with(x) - expected).cwiseAbs().maxCoeff() < 1e-14);
}

TEST_CASE("a layer without a shared expert keeps no memory and no parameters for one", "[experts][shared]") {
  const hg::layer without{gate, linear, 5};
  without.for_each_tensor([](std::string_view name, const auto&) { CHECK(name.substr(0, 6) != "shared"); });
  CHECK(std::is_empty_v<hg::no_shared_expert>);
  CHECK(std::is_empty_v<hg::no_shared_expert::params>);
}

TEST_CASE("a shared expert of other sizes than the routed ones is refused with all four", "[experts][shared]") {
  CHECK(refusal([] {
          hg::layer{gate, linear, hg::linear_expert<double>{.model = 6, .outputs = 5}, 1};
        }) == "layer: the shared expert maps 6 to 5, the routed ones map 6 to 4");
  CHECK(refusal([] {
          hg::layer{gate, linear, hg::ffn_expert<double>{.model = 6, .hidden = 0}, 1};
        }) == "ffn_expert: hidden is 0, it must be at least 1");
}
