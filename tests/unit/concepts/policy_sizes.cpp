// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/concepts/policy_sizes.hpp>
#include <headgate/core/extent.hpp>

#include "support/catch.hpp"

namespace hg = headgate;

namespace {

struct with_members {
  hg::extent<> model{3};
  hg::extent<5> experts{};
};

struct with_functions {
  [[nodiscard]] int model() const { return 7; }
  [[nodiscard]] hg::index experts() const { return 2; }
  [[nodiscard]] hg::index outputs() const { return 11; }
};

struct with_outputs {
  hg::index model = 4, outputs = 6;
};

struct silent {};

template <class Policy>
concept has_model = requires(const Policy& policy) {
  hg::model_of(policy);
};
template <class Policy>
concept has_experts = requires(const Policy& policy) {
  hg::experts_of(policy);
};

}  // namespace

TEST_CASE("sizes are read from members, static and dynamic, and from functions", "[concepts][policy_sizes]") {
  CHECK(hg::model_of(with_members{}) == 3);
  CHECK(hg::experts_of(with_members{}) == 5);
  CHECK(hg::model_of(with_functions{}) == 7);
  CHECK(hg::experts_of(with_functions{}) == 2);
}

TEST_CASE("an expert writes rows of its outputs, or of its model if it names none", "[concepts][policy_sizes]") {
  CHECK(hg::outputs_of(with_members{}) == 3);
  CHECK(hg::outputs_of(with_functions{}) == 11);
  CHECK(hg::outputs_of(with_outputs{}) == 6);
}

TEST_CASE("a policy that hides its sizes has none", "[concepts][policy_sizes]") {
  STATIC_REQUIRE(has_model<with_outputs>);
  STATIC_REQUIRE_FALSE(has_experts<with_outputs>);
  STATIC_REQUIRE_FALSE(has_model<silent>);
}
