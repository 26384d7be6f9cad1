// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/score/softmax.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {
const auto z = rows_of({{1, 0.2, -0.7, 0}, {3, 3, 3, 3}});
}

TEST_CASE("softmax scores are the probabilities of each row", "[gates][score][softmax]") {
  const auto s = scored(hg::softmax{}, {1, 4}).forward(z);
  const double golden[] = {0.5000, 0.2247, 0.0913, 0.1839};
  for (hg::index e = 0; e < 4; ++e) {
    CHECK(s(0, e) == Approx(golden[e]).margin(5.1e-5));
    CHECK(s(1, e) == 0.25);
  }
  CHECK(s.row(0).sum() == Approx(1).epsilon(1e-15));
}

TEST_CASE("softmax_at divides the logits by its temperature", "[gates][score][softmax]") {
  const auto s = scored(hg::softmax_at<double>{.temperature = 0.4}, {1, 4}).forward(z);
  const auto expected = scored(hg::softmax{}, {1, 4}).forward(z / 0.4);
  CHECK((s - expected).norm() < 1e-15);
  CHECK(scored(hg::softmax_at<double>{}, {1, 4}).forward(z) == scored(hg::softmax{}, {1, 4}).forward(z));
}

TEST_CASE("softmax_at is a one-hot row at any temperature that is small enough, a uniform one if it is large",
          "[gates][score][softmax]") {
  for (const double small : {1e-3, 1e-100, 1e-307, 5e-324}) {
    CAPTURE(small);
    const auto s = scored(hg::softmax_at<double>{.temperature = small}, {1, 4}).forward(z);
    CHECK(s == rows_of({{1, 0, 0, 0}, {0.25, 0.25, 0.25, 0.25}}));
  }
  for (const double large : {1e9, 1e300, std::numeric_limits<double>::infinity()})
    CHECK((scored(hg::softmax_at<double>{.temperature = large}, {1, 4}).forward(z).array() - 0.25).abs().maxCoeff() <
          1e-9);
}

TEST_CASE("the gradients of softmax scores agree with differences", "[gates][score][softmax]") {
  const auto x = random_matrix(4, 2, {1}), logits = random_matrix(4, 5, {2});
  CHECK(scored(hg::softmax{}, {2, 5}).check_gradients(x, logits));
  for (const double temperature : {0.3, 1.0, 4.0})
    CHECK(scored(hg::softmax_at<double>{.temperature = temperature}, {2, 5}).check_gradients(x, logits));
}

TEST_CASE("softmax_at refuses a temperature that is zero, negative or NaN", "[gates][score][softmax]") {
  const auto check = [](double temperature) { hg::softmax_at<double>{.temperature = temperature}.check(no_shape); };
  CHECK_THROWS_WITH(check(0), "softmax_at: temperature is 0, it must be greater than 0");
  CHECK_THROWS_WITH(check(-1.5), "softmax_at: temperature is -1.5, it must be greater than 0");
  CHECK_THROWS_WITH(check(std::numeric_limits<double>::quiet_NaN()), contains("softmax_at: temperature is"));
  CHECK_NOTHROW(check(0.1));
}
