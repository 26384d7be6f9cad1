// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/gates/score/gumbel_softmax.hpp>

#include "support/gate_checks.hpp"

#include <limits>

namespace hg = headgate;
using namespace headgate_test;
using gumbel_softmax = hg::gumbel_softmax<double>;

namespace {

const hg::gate_shape shape{2, 4};

scored<gumbel_softmax> training(const gumbel_softmax& score, std::uint64_t seed) {
  scored one(score, shape);
  one.training = true;
  one.random = {seed};
  return one;
}

}  // namespace

TEST_CASE("gumbel_softmax in training is the softmax of logits plus one Gumbel number each", "[gates][score][gumbel]") {
  const auto z = random_matrix(3, 4, {1});
  const auto s = training({.temperature = 0.7}, 5).forward(z);
  for (hg::index t = 0; t < 3; ++t) {
    double sum = 0;
    for (hg::index e = 0; e < 4; ++e) sum += std::exp((z(t, e) + hg::gumbel({5}, t, e)) / 0.7);
    for (hg::index e = 0; e < 4; ++e)
      CHECK(s(t, e) == Approx(std::exp((z(t, e) + hg::gumbel({5}, t, e)) / 0.7) / sum).epsilon(1e-13));
  }
}

TEST_CASE("hard gumbel_softmax is one-hot at the largest soft score, the lower index in a tie",
          "[gates][score][gumbel]") {
  const auto z = random_matrix(20, 4, {2});
  const auto soft = training({}, 6).forward(z), hard = training({.hard = true}, 6).forward(z);
  for (hg::index t = 0; t < 20; ++t) {
    hg::index best = 0;
    soft.row(t).maxCoeff(&best);
    CHECK(hard(t, best) == 1);
    CHECK(hard.row(t).sum() == 1);
  }
  CHECK(scored(gumbel_softmax{.hard = true, .samples = 0}, shape).forward(rows_of({{1, 3, 3, 0}})) ==
        rows_of({{0, 1, 0, 0}}));
}

TEST_CASE("gumbel_softmax in evaluation averages samples that all tokens share", "[gates][score][gumbel]") {
  const auto row = random_matrix(1, 4, {3});
  const auto z = hg::matrix<double>(row.replicate(3, 1));
  const auto s = scored(gumbel_softmax{.temperature = 0.5, .samples = 4, .evaluation_seed = 9}, shape).forward(z);
  CHECK(s.row(1) == s.row(0));
  CHECK(s.row(2) == s.row(0));
  CHECK(s.row(0).sum() == Approx(1).epsilon(1e-14));
  hg::matrix<double> mean = hg::matrix<double>::Zero(1, 4);
  for (hg::index sample = 0; sample < 4; ++sample) {
    hg::matrix<double> weight(1, 4);
    for (hg::index e = 0; e < 4; ++e) weight(0, e) = std::exp((row(0, e) + hg::gumbel({9}, sample, e)) / 0.5);
    mean += weight / weight.sum() / 4;
  }
  CHECK((s.row(0) - mean.row(0)).norm() < 1e-14);
}

TEST_CASE("the gradient of gumbel_softmax agrees with differences in training and evaluation",
          "[gates][score][gumbel]") {
  const auto x = random_matrix(4, 2, {4}), z = random_matrix(4, 4, {5});
  CHECK(training({}, 7).check_gradients(x, z));
  CHECK(training({.temperature = 0.4}, 7).check_gradients(x, z));
  CHECK(scored(gumbel_softmax{.temperature = 0.6, .samples = 5}, shape).check_gradients(x, z));
  CHECK(scored(gumbel_softmax{.samples = 0}, shape).check_gradients(x, z));
}

TEST_CASE("straight-through: the hard score has the gradient of the soft one for the same sample",
          "[gates][score][gumbel]") {
  const auto x = random_matrix(6, 2, {6}), z = random_matrix(6, 4, {7}), ds = random_matrix(6, 4, {8});
  for (const hg::index samples : {0, 1, 5}) {  // the first two runs are in training
    auto soft = training({.temperature = 0.6, .samples = samples}, 8);
    auto hard = training({.temperature = 0.6, .hard = true, .samples = samples}, 8);
    soft.training = hard.training = samples < 5;
    CHECK(soft.forward(x, z) != hard.forward(x, z));
    soft.backward(x, z, ds);
    hard.backward(x, z, ds);
    CHECK(soft.dz == hard.dz);
    CHECK(soft.dz.norm() > 0.01);
  }
}

TEST_CASE("gumbel_softmax stays finite at extreme temperatures", "[gates][score][gumbel]") {
  const auto z = random_matrix(20, 4, {9});
  for (const double temperature : {1e-307, 5e-324, 1e300}) {
    CAPTURE(temperature);
    const auto s = training({.temperature = temperature}, 9).forward(z);
    CHECK(s.allFinite());
    CHECK((s.rowwise().sum().array() - 1).abs().maxCoeff() < 1e-14);
  }
}

TEST_CASE("gumbel_softmax refuses options that make no sense", "[gates][score][gumbel]") {
  const auto check = [](const gumbel_softmax& score) { score.check(shape); };
  CHECK_THROWS_WITH(check({.temperature = 0}), "gumbel_softmax: temperature is 0, it must be greater than 0");
  CHECK_THROWS_WITH(check({.temperature = -2}), "gumbel_softmax: temperature is -2, it must be greater than 0");
  CHECK_THROWS_WITH(check({.temperature = std::numeric_limits<double>::quiet_NaN()}), contains("temperature is"));
  CHECK_THROWS_WITH(check({.samples = -1}), "gumbel_softmax: samples is -1, it must be at least 0");
  CHECK_NOTHROW(check({.samples = 0}));
}

TEST_CASE("gumbel_softmax gives experts that are switched off the score 0 and no gradient", "[gates][score][gumbel]") {
  const double off = -std::numeric_limits<double>::infinity();
  const auto z = rows_of({{1, off, 0.5, -1}, {off, off, off, off}});
  const hg::matrix<double> ds = random_matrix(2, 4, {7}), none = hg::matrix<double>::Zero(2, 2);
  for (const bool hard : {false, true})
    for (const bool with_noise : {false, true}) {
      scored one(gumbel_softmax{.hard = hard}, shape);
      one.training = with_noise;
      const auto s = one.forward(z);
      CHECK(s(0, 1) == 0);
      CHECK(s.row(0).sum() == Approx(1));
      CHECK(s.row(1).isZero(0));
      one.backward(none, z, ds);
      CHECK(one.dz.allFinite());
      CHECK(one.dz(0, 1) == 0);
    }
}
