// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/linear.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer_core.hpp>

#include "support/layer_checks.hpp"

using namespace headgate_test;

namespace {

using gate = hg::topk_gate<float>;
using expert = hg::linear_expert<float>;
using parameters = hg::layer_parameters<gate, expert, expert>;

/// A layer that keeps the experts from `first` on.
struct some_experts : hg::layer_core<gate, expert, expert, parameters> {
  some_experts(hg::index experts, hg::index first)
      : layer_core({.head = {.model = 4, .experts = experts}, .select = {.k = 1}}, {.model = 4, .outputs = 3},
                   {.model = 4, .outputs = 3}, {}) {
    parameters_.experts.resize(experts - first);
    draw(5, [&](hg::index e) { return e < first ? nullptr : &parameters_.experts[e - first]; });
    remember_sizes();
  }
};

}  // namespace

TEST_CASE("whoever keeps some of the experts has the parameters of whoever keeps all", "[layer][layer_core]") {
  const some_experts all(5, 0), some(5, 3);
  CHECK(same_matrix(all.params().gate.head.weight, some.params().gate.head.weight));
  for (hg::index e = 3; e < 5; ++e)
    CHECK(same_matrix(all.params().experts[e].weight, some.params().experts[e - 3].weight));
  CHECK(same_matrix(all.params().shared.weight, some.params().shared.weight));
  CHECK_FALSE(same_matrix(all.params().experts[3].weight, all.params().experts[4].weight));
}

TEST_CASE("sizes are those of the policies", "[layer][layer_core]") {
  const some_experts layer(5, 3);
  CHECK((layer.model() == 4 && layer.outputs() == 3 && layer.experts() == 5));
}

TEST_CASE("options refuse a capacity and a place of the weight that do not exist", "[layer][layer_core]") {
  CHECK(refusal([] { hg::layer_options{}.check(); }).empty());
  CHECK_FALSE(refusal([] { hg::layer_options{.capacity = {.factor = -1.0}}.check(); }).empty());
  CHECK_FALSE(refusal([] { hg::layer_options{.weight_on = static_cast<hg::weight_on>(7)}.check(); }).empty());
}
