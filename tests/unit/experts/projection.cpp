// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/core/weights.hpp>
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

TEST_CASE("projection's pair brings both sums to the finish, each with its bias", "[experts][projection]") {
  setting s;
  auto second = s.p;
  for (std::size_t e = 0; e < 4; ++e)
    second[e] = {random_matrix<double>(7, 6, {30 + e}), random_matrix<double>(1, 7, {40 + e})};
  struct pair_params {
    hg::weights<double> w, v;
    hg::matrix<double> w_bias, v_bias;
  };
  std::vector<pair_params> p;
  for (std::size_t e = 0; e < 4; ++e) p.push_back({s.p[e].weight, second[e].weight, s.p[e].bias, second[e].bias});
  hg::projection<double, pair_params> projection;
  hg::matrix<double> u = hg::matrix<double>::Zero(5, 64), v = u;  // room for whole vectors
  projection.forward_pair(p, s.groups(), hg::view_of(s.x), &pair_params::w, &pair_params::w_bias, &pair_params::v,
                          &pair_params::v_bias, s.pass,
                          [&](hg::index e, hg::index row, hg::index panel, const auto& of_w, const auto& of_v) {
                            const hg::index slot = s.offsets[static_cast<std::size_t>(e)] + row;
                            of_w.store_unaligned(&u(slot, panel * static_cast<hg::index>(of_w.size)));
                            of_v.store_unaligned(&v(slot, panel * static_cast<hg::index>(of_v.size)));
                          });
  for (hg::index i = 0; i < 5; ++i) {
    const auto x = s.x.row(s.rows[static_cast<std::size_t>(i)]);
    const auto& of_expert = p[setting::expert(i)];
    CHECK((u.row(i).leftCols(7) - x * of_expert.w.transpose() - of_expert.w_bias).norm() < 1e-13);
    CHECK((v.row(i).leftCols(7) - x * of_expert.v.transpose() - of_expert.v_bias).norm() < 1e-13);
  }
}

TEST_CASE("projection's gradient of the input overwrites, and a pair's is the sum of both", "[experts][projection]") {
  setting s;
  hg::matrix<double> dx = random_matrix<double>(5, 6, {3});
  hg::matrix<double> expected(5, 6);
  for (hg::index i = 0; i < 5; ++i) expected.row(i) = s.dy.row(i) * s.p[setting::expert(i)].weight;
  s.projection.backward_input(s.p, s.slots(), hg::view_of(s.dy), &params::weight, hg::view_of(dx), s.pass);
  CHECK((dx - expected).norm() < 1e-13);

  const auto dz = random_matrix<double>(5, 7, {4});
  s.projection.backward_input_pair(s.p, s.slots(), hg::view_of(s.dy), &params::weight, hg::view_of(dz), &params::weight,
                                   hg::view_of(dx), s.pass);
  for (hg::index i = 0; i < 5; ++i) expected.row(i) += dz.row(i) * s.p[setting::expert(i)].weight;
  CHECK((dx - expected).norm() < 1e-13);
}

TEST_CASE("projection's gradient of the input comes to a finish where there is one", "[experts][projection]") {
  setting s;
  hg::matrix<double> dx = random_matrix<double>(5, 6, {3}), before = dx;
  hg::matrix<double> twice = hg::matrix<double>::Zero(5, 64);
  s.projection.backward_input(s.p, s.slots(), hg::view_of(s.dy), &params::weight, hg::view_of(dx), s.pass,
                              [&](hg::index e, hg::index row, hg::index panel, const auto& low, const auto& high) {
                                const auto lanes = static_cast<hg::index>(low.size);
                                double* const to =
                                    &twice(s.offsets[static_cast<std::size_t>(e)] + row, 2 * panel * lanes);
                                (low + low).store_unaligned(to);
                                (high + high).store_unaligned(to + lanes);
                              });
  CHECK(same_matrix(dx, before));
  for (hg::index i = 0; i < 5; ++i)
    CHECK((twice.row(i).leftCols(6) - 2 * s.dy.row(i) * s.p[setting::expert(i)].weight).norm() < 1e-13);
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
