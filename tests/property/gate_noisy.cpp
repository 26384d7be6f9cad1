// SPDX-License-Identifier: BSD-3-Clause
// Noisy top-k (Shazeer et al. 2017, arXiv:1701.06538, eq. 3-5 and appendix A).
#include <headgate/gates/named.hpp>

#include <headgate/losses/load.hpp>
#include <headgate/losses/squared_variation.hpp>

#include "support/gate_checks.hpp"

namespace hg = headgate;
using namespace headgate_test;

namespace {

using noisy = hg::noisy_topk_gate<double>;

noisy gate_of(hg::index model, hg::index experts, hg::index k, double epsilon = 0.01) {
  return {
      .head = {.model = model, .experts = experts, .epsilon = epsilon}, .score = {}, .select = {.k = k}, .weigh = {}};
}

/// The smooth load of each expert and the hard counts, with the variance of their difference.
struct loads {
  hg::matrix<double> smooth, hard, variance;
};
loads loads_of(const hg::routing<double>& r) {
  loads l{hg::matrix<double>::Zero(1, r.experts), hg::matrix<double>::Zero(1, r.experts),
          hg::matrix<double>::Zero(1, r.experts)};
  const auto g = dense_weights(r);
  std::vector<double> row(static_cast<std::size_t>(r.experts));
  for (hg::index t = 0; t < r.tokens; ++t) {
    std::copy_n(r.logits.row(t), r.experts, row.begin());
    std::sort(row.rbegin(), row.rend());
    const auto k = static_cast<std::size_t>((g.row(t).array() > 0).count());
    for (hg::index e = 0; e < r.experts; ++e) {
      const bool in = g(t, e) > 0;
      const double u = (r.clean_logits(t, e) - row[in ? k : k - 1]) / r.noise_scale(t, e);
      const double p = std::erfc(-u / std::sqrt(2.0)) / 2;
      l.smooth(0, e) += p;
      l.hard(0, e) += in ? 1 : 0;
      l.variance(0, e) += (p - in) * (p - in);
    }
  }
  return l;
}

double variation(const hg::matrix<double>& load) {
  hg::matrix<double> slope = load;
  return hg::squared_variation(load.data(), slope.data(), load.cols(), hg::variance_of::population);
}

double load_loss(const hg::routing<double>& r) {
  hg::routing_gradient<double> d;
  d.reset(r);
  return hg::load_balance<double>{}(r, d);
}

}  // namespace

TEST_CASE("noisy top-k: with all experts and no noise it is the dense softmax", "[property][gates][noisy]") {
  routed gate(gate_of(4, 5, 5));
  routed dense(hg::softmax_gate<double>{.head = {.model = 4, .experts = 5}});
  dense.p.head.weight = gate.p.head.weight;
  const auto x = random_matrix(6, 4, {1});
  CHECK((dense_weights(gate(x)) - dense_weights(dense(x))).cwiseAbs().maxCoeff() < 1e-15);
}

TEST_CASE("noisy top-k: one expert has weight one", "[property][gates][noisy]") {
  routed gate(gate_of(4, 5, 1));
  for (const auto& a : gate.training(random_matrix(6, 4, {2}), 3).assignments) CHECK(a.weight == 1);
}

TEST_CASE("noisy top-k: noise weights that go to minus infinity make it deterministic", "[property][gates][noisy]") {
  routed gate(gate_of(4, 5, 2, 0));
  const hg::matrix<double> x = random_matrix(6, 4, {3}).cwiseAbs();
  const auto quiet = dense_weights(gate(x));
  CHECK(dense_weights(gate.training(x, 4)) != quiet);
  gate.p.head.noise_weight.setConstant(-1e5);
  CHECK(dense_weights(gate.training(x, 4)) == quiet);
  CHECK(dense_weights(gate.training(x, 5)) == quiet);
}

TEST_CASE("noisy top-k: as the noise vanishes the load becomes the counts", "[property][gates][noisy]") {
  routed gate(gate_of(4, 5, 2, 0));
  const hg::matrix<double> x = random_matrix(40, 4, {6}).cwiseAbs();
  double last = 1e9;
  for (const double weight : {0.0, -5.0, -1e2, -1e4}) {
    gate.p.head.noise_weight.setConstant(weight);
    const auto l = loads_of(gate.training(x, 7));
    const double distance = (l.smooth - l.hard).norm();
    CHECK((distance < last || distance < 1e-12));
    last = distance;
    if (weight > -1e3) CHECK(load_loss(gate.r) == Approx(variation(l.smooth)).epsilon(1e-10));
  }
  CHECK(last < 1e-12);
  CHECK(load_loss(gate.r) == Approx(variation(loads_of(gate.r).hard)).epsilon(1e-12));
}

TEST_CASE("noisy top-k: the mean over the noise of the hard counts is the load, within 3 sigma",
          "[property][gates][noisy]") {
  routed gate(gate_of(4, 5, 2));
  hg::testing::disturb<noisy>(gate.p, {8});
  const hg::matrix<double> x = random_matrix(1, 4, {9}).replicate(20000, 1);  // one token, 20000 draws of its noise
  const auto l = loads_of(gate.training(x, 10));
  for (hg::index e = 0; e < 5; ++e) {
    CAPTURE(e, l.hard(0, e), l.smooth(0, e));
    CHECK(l.variance(0, e) > 1);
    CHECK(std::abs(l.hard(0, e) - l.smooth(0, e)) < 3 * std::sqrt(l.variance(0, e)));
  }
}

TEST_CASE("noisy top-k: symmetric logits give equal load", "[property][gates][noisy]") {
  routed gate(gate_of(4, 5, 2));
  gate.p.head.weight.setZero();  // no expert differs from another
  const auto l = loads_of(gate.training(random_matrix(20000, 4, {11}), 12));
  const double share = 20000 * 2 / 5.0;
  for (hg::index e = 0; e < 5; ++e) {
    CHECK(std::abs(l.hard(0, e) - share) < 3 * std::sqrt(20000 * 0.4 * 0.6));
    CHECK(l.smooth(0, e) == Approx(share).epsilon(0.02));
  }
  CHECK(load_loss(gate.r) < 1e-3);
}

TEST_CASE("noisy top-k: without noise, or with all experts, the load is counted and has no gradient",
          "[property][gates][noisy]") {
  const auto x = random_matrix(9, 4, {13});
  routed some(gate_of(4, 5, 2)), all(gate_of(4, 5, 5));
  some(x);
  some.backward_of(x, hg::load_balance<double>{});
  CHECK(some.dp.head.weight.isZero(0));
  all.training(x, 14);
  CHECK(all.backward_of(x, hg::load_balance<double>{}) == Approx(0).margin(1e-15));
  CHECK(all.dp.head.weight.isZero(0));
  some.training(x, 14);
  some.backward_of(x, hg::load_balance<double>{});
  CHECK(some.dp.head.noise_weight.norm() > 1e-4);
}
