// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/optim/schedules.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>

namespace hg = headgate;
using headgate_test::contains;

static_assert(hg::constant_schedule{.rate = 0.5}(7) == 0.5);
static_assert(hg::linear_warmup{.peak = 1.0, .steps = 3}(1) == 0.5);

TEST_CASE("linear_warmup rises in equal steps to its peak and never is zero", "[optim][schedules]") {
  const hg::linear_warmup warmup{.peak = 2.0, .steps = 4};
  CHECK(warmup(0) == Approx(0.4));
  CHECK(warmup(1) == Approx(0.8));
  CHECK(warmup(3) == Approx(1.6));
  CHECK(warmup(4) == 2.0);
  CHECK(warmup(1000) == 2.0);
  CHECK(hg::linear_warmup{.peak = 2.0, .steps = 0}(0) == 2.0);
}

TEST_CASE("cosine_schedule meets its end points", "[optim][schedules]") {
  const hg::cosine_schedule rate{.peak = 1.0, .floor = 0.1, .warmup_steps = 10, .total_steps = 110};
  CHECK(rate(0) == Approx(1.0 / 11));
  CHECK(rate(10) == 1.0);
  CHECK(rate(60) == Approx(0.55).epsilon(1e-12));  // half way: the mean of peak and floor
  CHECK(rate(35) == Approx(0.1 + 0.9 * (1 + std::sqrt(0.5)) / 2).epsilon(1e-12));
  CHECK(rate(110) == 0.1);
  CHECK(rate(100000) == 0.1);
}

TEST_CASE("cosine_schedule makes no jumps and falls after the warm-up", "[optim][schedules]") {
  const hg::cosine_schedule rate{.peak = 1.0, .floor = 0.1, .warmup_steps = 50, .total_steps = 1000};
  const double steepest = 0.9 * 3.15 / 2 / 950;  // of the cosine, per step
  for (hg::index step = 0; step < 1100; ++step) {
    const double change = rate(step + 1) - rate(step);
    CAPTURE(step);
    if (step < 50)
      CHECK(change == Approx(1.0 / 51));
    else
      CHECK((change <= 0.0 && change >= -steepest));
  }
  CHECK(hg::cosine_schedule{.peak = 3.0, .total_steps = 10}(0) == 3.0);  // no warm-up
}

TEST_CASE("annealed goes by equal factors or equal differences and stays at its end", "[optim][schedules]") {
  const hg::annealed by_factors{.from = 8.0, .to = 0.5, .steps = 4};
  const hg::annealed by_amounts{.from = 8.0, .to = 0.5, .steps = 4, .shape = hg::annealing::linear};
  CHECK(by_factors(0) == 8.0);
  CHECK(by_amounts(0) == 8.0);
  CHECK(by_factors(1) == Approx(4.0));
  CHECK(by_factors(3) == Approx(1.0));
  CHECK(by_amounts(1) == Approx(6.125));
  CHECK(by_amounts(3) == Approx(2.375));
  for (const hg::index step : {4, 5, 1000000}) {
    CHECK(by_factors(step) == 0.5);
    CHECK(by_amounts(step) == 0.5);
  }
}

TEST_CASE("Schedules refuse what they cannot follow", "[optim][schedules]") {
  CHECK_THROWS_WITH(
      (hg::cosine_schedule{.warmup_steps = 5, .total_steps = 5}(0)),
      "cosine_schedule: total_steps is 5, it must be above warmup_steps, which is 5 and must be at least 0");
  CHECK_THROWS_WITH((hg::cosine_schedule{.total_steps = 5}(-1)), contains("the step is -1"));
  CHECK_THROWS_WITH((hg::linear_warmup{.steps = -1}(0)), "linear_warmup: steps is -1, it must be at least 0");
  CHECK_THROWS_WITH((hg::annealed{.from = 0.0, .to = 1.0, .steps = 2}(0)),
                    "annealed: goes from 0 to 1, both must be finite and above 0");
  CHECK_THROWS_AS((hg::annealed{.from = 1.0, .to = std::nan(""), .steps = 2}(0)), std::invalid_argument);
  CHECK_THROWS_WITH((hg::annealed{.from = 1.0, .to = 0.5, .steps = 0}(0)),
                    "annealed: steps is 0, it must be at least 1");
  CHECK_THROWS_WITH((hg::annealed{.from = 1.0, .to = 0.5, .steps = 2}(-3)),
                    "annealed: the step is -3, it must be at least 0");
}
