// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/score/adaptive_threshold.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {
const hg::gate_shape shape{3, 4};
const auto x = random_matrix(5, 3, {1});
const auto z = random_matrix(5, 4, {2});
}  // namespace

TEST_CASE("adaptive_threshold subtracts the token's own threshold from its probabilities",
          "[gates][score][adaptive_threshold]") {
  for (const double most : {0.0, 0.4}) {
    scored one(hg::adaptive_threshold<double>{.max_threshold = most}, shape);
    one.p.threshold_weight << 0.5, -1, 2;
    one.p.threshold_bias << 0.3;
    const auto s = one.forward(x, z);
    for (hg::index t = 0; t < 5; ++t) {
      const double logit = 0.5 * x(t, 0) - x(t, 1) + 2 * x(t, 2) + 0.3;
      const double tau = (most == 0 ? 0.25 : most) / (1 + std::exp(-logit));
      const hg::matrix<double> e = z.row(t).array().exp();
      CHECK((s.row(t) - (e.row(0) / e.sum()).eval()).maxCoeff() == Approx(-tau).epsilon(1e-13));
      CHECK((s.row(t) - (e.row(0) / e.sum()).eval()).minCoeff() == Approx(-tau).epsilon(1e-13));
    }
  }
}

TEST_CASE("the threshold starts near half its maximum", "[gates][score][adaptive_threshold]") {
  std::mt19937_64 generator(1);
  const auto p = hg::adaptive_threshold<double>{}.init({500, 8}, generator);
  CHECK(p.threshold_bias == hg::matrix<double>::Zero(1, 1));
  CHECK(p.threshold_weight.rows() == 1);
  CHECK(p.threshold_weight.norm() / std::sqrt(500.0) == Approx(0.02).epsilon(0.1));
}

TEST_CASE("the gradient of adaptive_threshold reaches logits, tokens and the threshold's parameters",
          "[gates][score][adaptive_threshold]") {
  for (const double most : {0.0, 0.3, 1.0}) {
    scored one(hg::adaptive_threshold<double>{.max_threshold = most}, shape);
    one.p.threshold_weight = random_matrix(1, 3, {3});
    one.p.threshold_bias << -0.4;
    CHECK(one.check_gradients(x, z));
    CHECK(one.dx.norm() > 1e-3);
  }
}

TEST_CASE("adaptive_threshold refuses a maximum that is negative or NaN", "[gates][score][adaptive_threshold]") {
  const auto check = [](double most) { hg::adaptive_threshold<double>{.max_threshold = most}.check(shape); };
  CHECK_THROWS_WITH(check(-0.1), "adaptive_threshold: max_threshold is -0.1, it must be at least 0 and finite");
  CHECK_THROWS_WITH(check(std::numeric_limits<double>::quiet_NaN()), contains("max_threshold is"));
  CHECK_THROWS_WITH(check(std::numeric_limits<double>::infinity()), contains("max_threshold is inf"));
  CHECK_NOTHROW(check(0));
}
