// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/concepts/activation.hpp>

#include "support/catch.hpp"

namespace {

struct cube {  // all that a user writes
  template <class V>
  V value(V x) const {
    return x * x * x;
  }
  template <class V>
  V derivative(V x) const {
    return (x + x + x) * x;
  }
};

struct without_derivative {
  template <class V>
  V value(V x) const {
    return x;
  }
};

struct for_numbers_only {
  [[nodiscard]] double value(double x) const { return x; }
  [[nodiscard]] double derivative(double) const { return 1; }
};

struct not_const : cube {
  template <class V>
  V value(V x) {
    return x;
  }
};

struct product {  // of two projections
  template <class V>
  V value(V gate, V up) const {
    return gate * up;
  }
  template <class V>
  headgate::pair_gradient<V> gradient(V gate, V up) const {
    return {up, gate};
  }
};

struct product_without_gradient {
  template <class V>
  V value(V gate, V up) const {
    return gate * up;
  }
};

}  // namespace

TEST_CASE("an activation has a value and a derivative for numbers and for vectors", "[concepts][activation]") {
  STATIC_REQUIRE(headgate::activation<cube>);
  STATIC_REQUIRE_FALSE(headgate::activation<without_derivative>);
  STATIC_REQUIRE_FALSE(headgate::activation<for_numbers_only>);
  STATIC_REQUIRE_FALSE(headgate::activation<not_const>);
  STATIC_REQUIRE_FALSE(headgate::activation<double>);
}

TEST_CASE("a pair activation has a value and a gradient for numbers and for vectors", "[concepts][activation]") {
  STATIC_REQUIRE(headgate::pair_activation<product>);
  STATIC_REQUIRE_FALSE(headgate::activation<product>);
  STATIC_REQUIRE_FALSE(headgate::pair_activation<cube>);
  STATIC_REQUIRE_FALSE(headgate::pair_activation<product_without_gradient>);
}
