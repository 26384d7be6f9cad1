// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/concepts/gate_policy.hpp>
#include <headgate/gates/named.hpp>

#include "support/catch.hpp"

#include <tuple>

namespace hg = headgate;

namespace {

struct all_to_one {  // all that a user writes
  using scalar = float;
  struct params {};
  struct cache {};
  static constexpr auto fields = std::tuple{};
  hg::index model = 1, experts = 1;

  params init(std::mt19937_64&) const { return {}; }
  void route(const params&, hg::in<float> x, hg::routing<float>& r, cache&) const {
    for (hg::index t = 0; t < x.rows(); ++t) r.assignments.push_back({t, 0, 1.0f});
  }
};

struct with_backward : all_to_one {
  void backward(const params&, hg::in<float>, const hg::routing<float>&, cache&, hg::routing_gradient<float>&,
                hg::out<float>, params&) const {}
};

struct that_wants_the_pass : all_to_one {
  template <class Pass>
  void route(const params&, hg::in<float>, hg::routing<float>&, cache&, const Pass&) const {}
};

struct that_hides_its_sizes {
  using scalar = float;
  struct params {};
  struct cache {};
  static constexpr auto fields = std::tuple{};
  params init(std::mt19937_64&) const { return {}; }
  void route(const params&, hg::in<float>, hg::routing<float>&, cache&) const {}
};

struct that_writes_parameters : all_to_one {
  void route(params&, hg::in<float>, hg::routing<float>&, cache&) const {}
};

}  // namespace

TEST_CASE("a user's gate models gate_policy, and with a backward trainable_gate", "[concepts][gate_policy]") {
  STATIC_REQUIRE(hg::gate_policy<all_to_one>);
  STATIC_REQUIRE_FALSE(hg::trainable_gate<all_to_one>);
  STATIC_REQUIRE(hg::trainable_gate<with_backward>);
  STATIC_REQUIRE_FALSE(hg::contextual_gate<with_backward>);
}

TEST_CASE("a gate that takes the pass is contextual, as the composed gates are", "[concepts][gate_policy]") {
  STATIC_REQUIRE(hg::contextual_gate<that_wants_the_pass>);
  STATIC_REQUIRE(hg::contextual_gate<hg::topk_gate<float>>);
  STATIC_REQUIRE(hg::trainable_gate<hg::topk_gate<float>>);
  STATIC_REQUIRE(hg::trainable_gate<hg::noisy_topk_gate<double, 8, 4, 2>>);
}

TEST_CASE("a gate that hides its sizes or writes its parameters does not model gate_policy",
          "[concepts][gate_policy]") {
  STATIC_REQUIRE_FALSE(hg::gate_policy<that_hides_its_sizes>);
  STATIC_REQUIRE_FALSE(hg::gate_policy<that_writes_parameters>);
  STATIC_REQUIRE_FALSE(hg::gate_policy<int>);
}
