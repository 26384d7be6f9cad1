// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/models/expect.hpp>

#include "support/catch.hpp"

namespace hg = headgate;

namespace {

template <class F>
std::string refusal(const F& f) {
  try {
    f();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "nothing refused";
}

}  // namespace

TEST_CASE("a model that says something else than a family computes is refused", "[models][expect]") {
  hg::model_config c("DIR/config.json");
  c.set("hidden_act", "gelu").set("num_experts_per_tok", 3).set("router_bias", true);
  CHECK(refusal([&] { hg::expect(c, "hidden_act", "silu"); }) ==
        "DIR/config.json: hidden_act is 'gelu', this family computes 'silu' only");
  CHECK(refusal([&] { hg::expect(c, "num_experts_per_tok", 2); }) ==
        "DIR/config.json: num_experts_per_tok is 3, this family computes 2 only");
  CHECK(refusal([&] { hg::expect_off(c, "router_bias"); }) ==
        "DIR/config.json: router_bias is true, this family computes false only");
}

TEST_CASE("what a model says as expected, or does not say, passes", "[models][expect]") {
  hg::model_config c;
  c.set("hidden_act", "silu").set("num_experts_per_tok", 2).set("router_bias", false);
  hg::expect(c, "hidden_act", "silu");
  hg::expect(c, "num_experts_per_tok", 2);
  hg::expect_off(c, "router_bias");
  hg::expect(c, "absent", "silu");
  hg::expect(c, "absent", 2);
  hg::expect_off(c, "absent");
}

TEST_CASE("a family with shared experts refuses to have none", "[models][expect]") {
  hg::model_config c("c");
  c.set("n_shared_experts", 0).set("two", 2);
  CHECK(refusal([&] { (void)hg::at_least_one(c, "n_shared_experts"); }) ==
        "c: n_shared_experts is 0, this family computes 1 or more only");
  CHECK(hg::at_least_one(c, "two") == 2);
}

TEST_CASE("a size may be one for all layers or a list", "[models][expect]") {
  hg::model_config c("c");
  c.set("one", 7).set_list("each", std::vector<double>{1, 2, 3});
  CHECK(hg::entry_of(c, "one", 5) == 7);
  CHECK(hg::entry_of(c, "each", 2) == 3);
  CHECK(refusal([&] { (void)hg::entry_of(c, "each", 3); }) == "c: each has 3 entries, layer 3 was asked for");
}
