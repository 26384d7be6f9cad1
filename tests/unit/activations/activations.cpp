// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/activations.hpp>

#include "support/activation_checks.hpp"

#include <type_traits>

namespace {

template <class... A>
void all_are_activations() {
  STATIC_REQUIRE((headgate::activation<A> && ...));
  STATIC_REQUIRE((std::is_trivially_copyable_v<A> && ...));
}
template <class... A>
void all_are_empty() {
  STATIC_REQUIRE((std::is_empty_v<A> && ...));
}

}  // namespace

TEST_CASE("every activation is a policy", "[activations]") {
  using namespace headgate;
  all_are_activations<elu, gelu, gelu_tanh, headgate::identity, leaky_relu, mish, relu, relu_squared, selu, sigmoid,
                      silu, softplus, swish, headgate::tanh>();
  STATIC_REQUIRE((pair_activation<clamped_swiglu> && std::is_trivially_copyable_v<clamped_swiglu>));
}

TEST_CASE("an activation without options takes no room", "[activations]") {
  using namespace headgate;
  all_are_empty<gelu, gelu_tanh, headgate::identity, mish, relu, relu_squared, selu, sigmoid, silu, softplus,
                headgate::tanh>();
}
