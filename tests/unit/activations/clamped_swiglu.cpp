// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/activations/clamped_swiglu.hpp>
#include <headgate/activations/silu.hpp>

#include "support/layer_checks.hpp"
#include "support/pair_activation_checks.hpp"

namespace {

using headgate::clamped_swiglu;
using headgate::gate_clamp;
using headgate_test::real;

const clamped_swiglu gpt_oss{};
const clamped_swiglu deepseek_v4{.limit = 10, .alpha = 1, .up_offset = 0};
const clamped_swiglu minimax_m3{.gate_clamp = gate_clamp::both_sides};

const double infinity = std::numeric_limits<double>::infinity();
const double not_a_number = std::numeric_limits<double>::quiet_NaN();

real clamp(real x, real least, real most) { return x < least ? least : x > most ? most : x; }

}  // namespace

TEST_CASE("the clamped SwiGLU of gpt-oss cuts the gate above, and adds one to up", "[activations][clamped_swiglu]") {
  headgate_test::check_pair_values(
      gpt_oss, 7,
      [](real gate, real up) {
        const real g = gate > 7 ? 7 : gate;
        return g * headgate_test::logistic(real(1.702) * g) * (clamp(up, -7, 7) + 1);
      },
      8);
  CHECK(std::abs(gpt_oss.value(1.0, 1.0) - 1.69159153) < 1e-7);      // 2 s(1.702)
  CHECK(std::abs(gpt_oss.value(100.0, 100.0) - 55.9996250) < 1e-6);  // 7 s(11.914) * 8
  CHECK(std::abs(gpt_oss.value(-8.0, 0.0)) < 1e-4);                  // not cut below: s(-13.6), not s(-11.9)
}

TEST_CASE("the clamped SwiGLU of DeepSeek-V4 is SiLU of the gate cut above, times up",
          "[activations][clamped_swiglu]") {
  headgate_test::check_pair_values(
      deepseek_v4, 10,
      [](real gate, real up) {
        const real g = gate > 10 ? 10 : gate;
        return g * headgate_test::logistic(g) * clamp(up, -10, 10);
      },
      8);
  for (double gate = -9; gate < 9; gate += 0.375)
    for (double up = -9; up < 9; up += 0.375) CHECK(deepseek_v4.value(gate, up) == headgate::silu{}.value(gate) * up);
}

TEST_CASE("the clamped SwiGLU of MiniMax-M3 cuts the gate on both sides", "[activations][clamped_swiglu]") {
  headgate_test::check_pair_values(
      minimax_m3, 7,
      [](real gate, real up) {
        const real g = clamp(gate, -7, 7);
        return g * headgate_test::logistic(real(1.702) * g) * (clamp(up, -7, 7) + 1);
      },
      8);
  CHECK(minimax_m3.value(-50.0, 3.0) == minimax_m3.value(-7.0, 3.0));
  CHECK(minimax_m3.value(-50.0, 3.0) != gpt_oss.value(-50.0, 3.0));
}

TEST_CASE("clamped_swiglu has the derivatives that differences show", "[activations][clamped_swiglu]") {
  headgate_test::check_pair_gradient(gpt_oss, 7);
  headgate_test::check_pair_gradient(deepseek_v4, 10);
  headgate_test::check_pair_gradient(minimax_m3, 7);
}

TEST_CASE("a projection on its bound gets gradient, one beyond gets none", "[activations][clamped_swiglu]") {
  for (const clamped_swiglu& act : {gpt_oss, minimax_m3}) {
    const double beyond = std::nextafter(7.0, 8.0);
    CHECK(act.gradient(7.0, 0.5).gate > 1);
    CHECK(act.gradient(beyond, 0.5).gate == 0);
    CHECK(act.gradient(beyond, 0.5).up == act.gradient(7.0, 0.5).up);
    for (const double side : {1.0, -1.0}) {
      CHECK(act.gradient(1.0, side * 7.0).up == act.value(1.0, 0.0) / act.up_offset);
      CHECK(act.gradient(1.0, side * beyond).up == 0);
      CHECK(act.gradient(1.0, side * beyond).gate == act.gradient(1.0, side * 7.0).gate);
    }
  }
  CHECK(minimax_m3.gradient(-7.0, 0.5).gate != 0);
  CHECK(minimax_m3.gradient(-7.1, 0.5).gate == 0);
  CHECK(gpt_oss.gradient(-7.1, 0.5).gate != 0);
}

TEST_CASE("clamped_swiglu gives a lane the bits of a number alone", "[activations][clamped_swiglu]") {
  headgate_test::check_pair_lanes(gpt_oss, 7);
  headgate_test::check_pair_lanes(deepseek_v4, 10);
  headgate_test::check_pair_lanes(minimax_m3, 7);
}

TEST_CASE("clamped_swiglu has limits at both ends and passes NaN on", "[activations][clamped_swiglu]") {
  CHECK(gpt_oss.value(-infinity, infinity) == 0);
  CHECK(gpt_oss.value(infinity, -infinity) == gpt_oss.value(7.0, -7.0));
  CHECK(gpt_oss.gradient(-infinity, infinity).gate == 0);
  for (const clamped_swiglu& act : {gpt_oss, deepseek_v4, minimax_m3}) {
    CHECK(std::isnan(act.value(not_a_number, 1.0)));
    CHECK(std::isnan(act.value(1.0, not_a_number)));
    CHECK(std::isnan(act.gradient(not_a_number, 1.0).gate));
    const xsimd::batch<double> lanes = act.value(xsimd::batch<double>(not_a_number), xsimd::batch<double>(1.0));
    CHECK(std::isnan(lanes.get(0)));
  }
}

TEST_CASE("clamped_swiglu refuses options that are no numbers", "[activations][clamped_swiglu]") {
  using headgate_test::refusal;
  CHECK(refusal([] { clamped_swiglu{.limit = 0}.check(); }) == "clamped_swiglu: limit is 0, it must be greater than 0");
  CHECK(refusal([] { clamped_swiglu{.limit = not_a_number}.check(); }).substr(0, 24) == "clamped_swiglu: limit is");
  CHECK(refusal([] { clamped_swiglu{.alpha = infinity}.check(); }) ==
        "clamped_swiglu: alpha is inf, it must be finite");
  CHECK(refusal([] { clamped_swiglu{.up_offset = infinity}.check(); }) ==
        "clamped_swiglu: up_offset is inf, it must be finite");
  CHECK(refusal([] { clamped_swiglu{.limit = infinity}.check(); }).empty());
}
