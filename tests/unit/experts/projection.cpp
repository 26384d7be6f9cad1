// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/projection.hpp>
#include <headgate/parallel/pass.hpp>

#include "support/layer_checks.hpp"

#include <vector>

using namespace headgate_test;

namespace {

struct params {
  hg::matrix<double> weight, bias;
};

/// Two experts without rows around one with three, from a list, and one with two.
struct setting {
  std::vector<params> p;
  const std::vector<hg::index> offsets{0, 0, 3, 3, 5};
  const std::vector<hg::index> rows{3, 0, 3, 1, 2};
  hg::matrix<double> x = random_matrix<double>(4, 6, {1});
  hg::matrix<double> dy = random_matrix<double>(5, 7, {2});
  hg::scratch<double> memory;
  hg::pass<double> pass{hg::run_sequentially, memory};
  hg::projection<double, params> projection;

  setting() {
    for (std::uint64_t e = 0; e < 4; ++e)
      p.push_back({random_matrix<double>(7, 6, {10 + e}), random_matrix<double>(1, 7, {20 + e})});
  }
  [[nodiscard]] hg::row_groups groups() const { return {4, offsets.data(), rows.data()}; }
  [[nodiscard]] hg::row_groups slots() const { return {4, offsets.data()}; }
  static std::size_t expert(hg::index s) { return s < 3 ? 1 : 3; }
};

}  // namespace

TEST_CASE("projection applies each expert's matrix and bias to its rows", "[experts][projection]") {
  setting s;
  hg::matrix<double> y(5, 7);
  for (const bool listed : {true, false}) {
    hg::matrix<double> x(5, 6);
    for (hg::index i = 0; i < 5; ++i) x.row(i) = s.x.row(s.rows[static_cast<std::size_t>(i)]);
    s.projection.forward(s.p, listed ? s.groups() : s.slots(), hg::view_of(listed ? s.x : x), &params::weight,
                         &params::bias, hg::view_of(y), s.pass);
    for (hg::index i = 0; i < 5; ++i) {
      const auto& p = s.p[setting::expert(i)];
      CHECK((y.row(i) - x.row(i) * p.weight.transpose() - p.bias).norm() < 1e-13);
    }
  }
}

TEST_CASE("projection's gradient of the input overwrites or adds", "[experts][projection]") {
  setting s;
  hg::matrix<double> dx = random_matrix<double>(5, 6, {3});
  for (const bool accumulate : {false, true}) {
    hg::matrix<double> expected = accumulate ? dx : hg::matrix<double>::Zero(5, 6).eval();
    for (hg::index i = 0; i < 5; ++i) expected.row(i) += s.dy.row(i) * s.p[setting::expert(i)].weight;
    s.projection.backward_input(s.p, s.slots(), hg::view_of(s.dy), &params::weight, hg::view_of(dx), s.pass,
                                accumulate);
    CHECK((dx - expected).norm() < 1e-13);
  }
}

TEST_CASE("projection adds to the gradients of weight and bias, and does nothing without them",
          "[experts][projection]") {
  setting s;
  auto dp = s.p;
  auto expected = dp;
  for (hg::index i = 0; i < 5; ++i) {
    expected[setting::expert(i)].weight += s.dy.row(i).transpose() * s.x.row(s.rows[static_cast<std::size_t>(i)]);
    expected[setting::expert(i)].bias += s.dy.row(i);
  }
  s.projection.backward_weight({}, s.groups(), hg::view_of(s.dy), hg::view_of(s.x), &params::weight, &params::bias,
                               s.pass);
  s.projection.backward_weight(dp, s.groups(), hg::view_of(s.dy), hg::view_of(s.x), &params::weight, &params::bias,
                               s.pass);
  for (std::size_t e = 0; e < 4; ++e) {
    CHECK((dp[e].weight - expected[e].weight).norm() < 1e-13);
    CHECK((dp[e].bias - expected[e].bias).norm() < 1e-13);
  }
  CHECK((same_matrix(dp[0].weight, s.p[0].weight) && same_matrix(dp[2].bias, s.p[2].bias)));
}
