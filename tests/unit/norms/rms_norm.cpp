// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/norms/rms_norm.hpp>

#include <headgate/dense_layer.hpp>
#include <headgate/testing/check_expert.hpp>

#include "support/catch.hpp"

#include <cmath>

namespace hg = headgate;
using hg::testing::random_matrix;
using gated_norm = hg::rms_norm<double, hg::dynamic, hg::output_gate::used>;

static_assert(hg::trainable_expert<hg::rms_norm<float>> && hg::trainable_expert<gated_norm>);

TEST_CASE("rms_norm keeps every promise of an expert", "[norms][rms_norm]") {
  CHECK(hg::testing::check_expert(hg::rms_norm<double>{.model = 9}));
  CHECK(hg::testing::check_expert(gated_norm{.model = 9}));
  CHECK(hg::testing::check_expert(hg::rms_norm<double, 4>{.epsilon = 0}));
  CHECK(hg::testing::check_expert(hg::rms_norm<float, hg::dynamic, hg::output_gate::used>{.model = 17}));
}

TEST_CASE("rms_norm divides by the root of the mean square and multiplies by gamma", "[norms][rms_norm]") {
  hg::dense_layer layer{hg::rms_norm<double>{.model = 4, .epsilon = 0}, 1};
  layer.params().gamma << 1, 2, 1, -1;
  hg::matrix<double> u(1, 4);
  u << 1, -1, 7, 7;  // mean square 25
  const hg::matrix<double> y = layer(u);
  CHECK(y(0, 0) == Approx(0.2));
  CHECK(y(0, 1) == Approx(-0.4));
  CHECK(y(0, 2) == Approx(1.4));
  CHECK(y(0, 3) == Approx(-1.4));
}

TEST_CASE("the output gate of rms_norm multiplies by the sigmoid of gate times input", "[norms][rms_norm]") {
  hg::dense_layer plain{hg::rms_norm<double>{.model = 5}, 1};
  hg::dense_layer gated{gated_norm{.model = 5}, 1};
  const hg::matrix<double> u = random_matrix(3, 5, {1});
  CHECK((gated(u) - 0.5 * plain(u)).norm() < 1e-15);
  gated.params().gate = random_matrix(1, 5, {2});
  for (hg::index t = 0; t < 3; ++t)
    for (hg::index i = 0; i < 5; ++i)
      CHECK(gated(u)(t, i) == Approx(plain(u)(t, i) / (1 + std::exp(-gated.params().gate(0, i) * u(t, i)))));
}

TEST_CASE("rms_norm without epsilon does not see the scale of its input", "[norms][rms_norm]") {
  const hg::dense_layer layer{hg::rms_norm<double>{.model = 6, .epsilon = 0}, 1};
  const hg::matrix<double> u = random_matrix(3, 6, {3});
  for (const double scale : {1e-100, 1e-3, 17.0, 1e100}) CHECK((layer(u * scale) - layer(u)).norm() < 1e-14);
}

TEST_CASE("a row of zeros stays zero and its gradient finite, with epsilon and without", "[norms][rms_norm]") {
  for (const double epsilon : {0.0, 1e-6}) {
    const hg::dense_layer layer{gated_norm{.model = 6, .epsilon = epsilon}, 1};
    const hg::matrix<double> u = hg::matrix<double>::Zero(2, 6), dy = random_matrix(2, 6, {4});
    hg::matrix<double> y, du;
    decltype(layer)::tape tape;
    auto grads = layer.zero_gradients();
    layer.forward(u, y, tape);
    layer.backward(u, dy, tape, du, grads);
    CHECK(y.isZero(0));
    CHECK(du.allFinite());
    CHECK(grads.gamma.isZero(0));
  }
}

TEST_CASE("rms_norm refuses options that make no sense", "[norms][rms_norm]") {
  using headgate_test::contains;
  CHECK_THROWS_WITH(hg::dense_layer(hg::rms_norm<double>{.model = 0}, 1),
                    contains("model is 0, it must be at least 1"));
  CHECK_THROWS_WITH(hg::dense_layer(hg::rms_norm<double>{.model = 3, .epsilon = -1}, 1), contains("epsilon is -1"));
  CHECK_THROWS_WITH(hg::dense_layer(hg::rms_norm<double>{.model = 3, .epsilon = std::nan("")}, 1),
                    contains("epsilon is"));
  CHECK_THROWS_WITH(hg::dense_layer(hg::rms_norm<double>{.model = 3, .epsilon = HUGE_VAL}, 1),
                    contains("epsilon is inf"));
}
