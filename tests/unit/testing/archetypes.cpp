// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/testing/archetypes.hpp>

#include <headgate/dense_layer.hpp>
#include <headgate/layer.hpp>
#include <headgate/testing/gradcheck.hpp>

#include "support/catch.hpp"

#include <string>

namespace hg = headgate;
using namespace hg::testing;

static_assert(!std::is_copy_constructible_v<archetype_gate<>> && !std::is_default_constructible_v<archetype_gate<>>);
static_assert(!std::is_copy_constructible_v<archetype_expert<>> && !std::is_copy_constructible_v<archetype_cache>);
static_assert(!std::is_convertible_v<archetype_size, hg::index>);

TEST_CASE("a layer runs with policies that offer what the concepts say and nothing more", "[testing][archetypes]") {
  hg::layer layer(archetype_gate<>(3, 2), archetype_expert<>(3), 1);
  const hg::matrix<double> x = random_matrix(4, 3, {1});
  const archetype_executor executor;
  hg::matrix<double> y;
  decltype(layer)::workspace memory;
  layer.forward(executor, x, y, memory);
  for (hg::index t = 0; t < 4; ++t)
    for (hg::index i = 0; i < 3; ++i) CHECK(y(t, i) == layer.params().experts[t % 2].w(0, 0) * x(t, i));
  CHECK(layer(x) == y);
}

TEST_CASE("a layer trains with policies that offer what the concepts say and nothing more", "[testing][archetypes]") {
  hg::layer layer(archetype_trainable_gate<>(3, 2), archetype_trainable_expert<>(3), 1);
  const hg::matrix<double> x = random_matrix(4, 3, {2});
  const archetype_executor executor;
  hg::matrix<double> y, dx;
  decltype(layer)::tape tape;
  auto grads = layer.zero_gradients();
  layer.forward(executor, x, y, tape);
  CHECK(layer.backward(executor, x, y, tape, dx, grads, archetype_loss<>{}) == 4);  // half of 4 x 2 assignments

  const double w = layer.params().gate.w(0, 0),
               both = layer.params().experts[0].w(0, 0) + layer.params().experts[1].w(0, 0);
  CHECK(grads.gate.w(0, 0) == Approx(both * (x.array() * y.array()).sum()));
  CHECK(grads.experts[0].w(0, 0) == Approx(w * (x.array() * y.array()).sum()));
  CHECK((dx - w * both * y).norm() < 1e-14);
  std::string names;
  layer.for_each_parameter(grads, [&](std::string_view name, auto&, const auto&) { names += std::string(name) + " "; });
  CHECK(names == "gate.w experts.0.w experts.1.w ");
}

TEST_CASE("a gate without parameters needs no backward for its layer to train", "[testing][archetypes]") {
  hg::layer layer(archetype_gate<>(3, 2), archetype_trainable_expert<>(3), archetype_trainable_expert<>(3), 1);
  const hg::matrix<double> x = random_matrix(4, 3, {3});
  hg::matrix<double> y, dx;
  decltype(layer)::tape tape;
  auto grads = layer.zero_gradients();
  layer.forward(x, y, tape);
  layer.backward(x, y, tape, dx, grads);
  CHECK(grads.shared.w(0, 0) == Approx((x.array() * y.array()).sum()));
}

TEST_CASE("a dense layer runs and trains with an expert that offers no more than its concept",
          "[testing][archetypes]") {
  hg::dense_layer layer(archetype_trainable_expert<>(3), 1);
  const hg::matrix<double> x = random_matrix(4, 3, {4});
  hg::matrix<double> y, dx;
  decltype(layer)::tape tape;
  auto grads = layer.zero_gradients();
  layer.forward(archetype_executor{}, x, y, tape);
  layer.backward(archetype_executor{}, x, y, tape, dx, grads);
  CHECK((dx - layer.params().w(0, 0) * y).norm() < 1e-14);
}
