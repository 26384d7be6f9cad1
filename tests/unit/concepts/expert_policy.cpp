// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/concepts/expert_policy.hpp>
#include <headgate/experts/frozen.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/lora.hpp>

#include "support/catch.hpp"

#include <tuple>

namespace hg = headgate;

namespace {

struct copies {  // all that a user writes
  using scalar = double;
  struct params {};
  struct cache {};
  static constexpr auto fields = std::tuple{};
  hg::index model = 1;

  params init(std::mt19937_64&) const { return {}; }
  void forward(const params&, hg::in<double> x, hg::out<double> y, cache&) const { y = x; }
};

struct with_backward : copies {
  void backward(const params&, hg::in<double>, hg::in<double> dy, cache&, hg::out<double> dx, params&) const {
    dx = dy;
  }
};

struct that_remembers_in_itself : copies {
  void forward(const params&, hg::in<double> x, hg::out<double> y, cache&) { y = x; }
};

struct of_integers : copies {
  using scalar = int;
};

}  // namespace

TEST_CASE("a user's expert models expert_policy, and with a backward trainable_expert", "[concepts][expert_policy]") {
  STATIC_REQUIRE(hg::expert_policy<copies>);
  STATIC_REQUIRE_FALSE(hg::trainable_expert<copies>);
  STATIC_REQUIRE(hg::trainable_expert<with_backward>);
  STATIC_REQUIRE_FALSE(hg::grouped_expert<with_backward>);
}

TEST_CASE("the library's experts are grouped, trainable experts", "[concepts][expert_policy]") {
  STATIC_REQUIRE(hg::grouped_expert<hg::swiglu_expert<float>>);
  STATIC_REQUIRE(hg::trainable_expert<hg::swiglu_expert<float>>);
  STATIC_REQUIRE(hg::grouped_expert<hg::frozen<hg::lora_expert<double>>>);
  STATIC_REQUIRE(hg::trainable_expert<hg::frozen<hg::lora_expert<double>>>);
}

TEST_CASE("an expert with a forward that is not const, or of integers, does not model expert_policy",
          "[concepts][expert_policy]") {
  STATIC_REQUIRE_FALSE(hg::expert_policy<that_remembers_in_itself>);
  STATIC_REQUIRE_FALSE(hg::expert_policy<of_integers>);
  STATIC_REQUIRE_FALSE(hg::expert_policy<int>);
}
