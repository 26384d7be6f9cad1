// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/reference/moe.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

namespace ref = headgate::reference;
using namespace headgate_test;

namespace {

struct sent {
  hg::index token;
  hg::index expert;
  double weight;
};

/// Expert e on (a, b): a one-element row (e + 1) a b.
const auto product_expert = [](hg::index e, const double* x, double* y) {
  y[0] = static_cast<double>(e + 1) * x[0] * x[1];
};

}  // namespace

TEST_CASE("the plain mixture adds the weighted answers of each token's experts", "[reference][moe]") {
  const double x_memory[] = {1, 2, 3, 4, 5, 6};
  const hg::view<const double> x(x_memory, 3, 2);
  guarded<double> y(3, 1, 0, 2);
  const std::vector<sent> assignments{{2, 0, 0.5}, {0, 1, 10}, {2, 3, 1}};
  ref::moe(x, assignments, y.view(), product_expert);
  CHECK(y(0, 0) == 40);  // 10 * (2 * 1 * 2)
  CHECK(y(1, 0) == 0);   // no expert
  CHECK(y(2, 0) == 0.5 * 30 + 1 * (4 * 30));
  CHECK(y.guards_are_intact());
}

TEST_CASE("the plain mixture can weigh the experts' inputs instead", "[reference][moe]") {
  const double x_memory[] = {1, 2};
  const hg::view<const double> x(x_memory, 1, 2);
  guarded<double> y(1, 1);
  const std::vector<sent> assignments{{0, 0, 3}, {0, 1, 0.5}};
  ref::moe_with_weighted_inputs(x, assignments, y.view(), product_expert);
  CHECK(y(0, 0) == 3 * 6 + 2 * 0.5 * 1);  // (3 * 1) (3 * 2) + 2 (0.5 * 1) (0.5 * 2)
}

TEST_CASE("the plain mixture adds a token's answers by expert, not in the order of the assignments",
          "[reference][moe]") {
  const double x_memory[] = {1};
  const hg::view<const double> x(x_memory, 1, 1);
  guarded<double> y(1, 1);
  const double answers[] = {1e20, -1e20, 1};  // by expert (1e20 - 1e20) + 1; from the last to the first 0
  const auto answer = [&](hg::index e, const double*, double* to) { *to = answers[e]; };
  ref::moe(x, std::vector<sent>{{0, 2, 1}, {0, 1, 1}, {0, 0, 1}}, y.view(), answer);
  CHECK(y(0, 0) == 1);
}

TEST_CASE("the plain mixture of no tokens is nothing", "[reference][moe]") {
  guarded<double> x(0, 2), y(0, 1);
  ref::moe(x.view(), std::vector<sent>{}, y.view(), product_expert);
  CHECK(y.guards_are_intact());
}
