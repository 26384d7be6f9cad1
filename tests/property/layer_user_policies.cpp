// SPDX-License-Identifier: BSD-3-Clause
// A user's gate and expert, as the manual prints them, inside a layer.
#include <headgate/headgate.hpp>

#include "support/layer_checks.hpp"

using namespace headgate_test;

namespace {

// clang-format off
template <std::floating_point T>
struct hash_gate {                                   // token t goes to expert t mod n; nothing to learn
  using scalar = T;
  struct params {};                                  // trainable matrices: none
  struct cache {};                                   // what backward must remember: nothing
  static constexpr auto fields = std::tuple{};       // names of the trainable matrices
  hg::index model, experts;                          // configuration

  params init(std::mt19937_64&) const { return {}; }
  void route(const params&, hg::in<T> x, hg::routing<T>& r, cache&) const {
    r.assignments.clear();
    for (hg::index t = 0; t < x.rows(); ++t) r.assignments.push_back({t, t % experts, T{1}});
  }
};
static_assert(hg::gate_policy<hash_gate<float>>);    // keep this line next to the policy

template <std::floating_point T>
struct relu2_expert {                                // y = relu(x up')^2 down'
  using scalar = T;
  struct params { hg::matrix<T> up, down; };
  struct cache { hg::matrix<T> pre; };
  static constexpr auto fields = std::tuple{hg::field{"up", &params::up}, hg::field{"down", &params::down}};
  hg::index model, hidden;

  params init(std::mt19937_64& g) const {
    return {hg::detail::randn<T>(hidden, model, g, T(0.1)), hg::detail::randn<T>(model, hidden, g, T(0.1))};
  }
  void forward(const params& p, hg::in<T> x, hg::out<T> y, cache& c) const {
    c.pre.noalias() = x * p.up.transpose();
    y.noalias() = c.pre.cwiseMax(T{0}).cwiseAbs2() * p.down.transpose();
  }
};
// clang-format on
static_assert(hg::expert_policy<relu2_expert<float>>);
static_assert(!hg::trainable_expert<relu2_expert<float>>);

/// The same with a backward.
template <std::floating_point T>
struct trainable_relu2 : relu2_expert<T> {
  using typename relu2_expert<T>::params;
  using typename relu2_expert<T>::cache;

  void backward(const params& p, hg::in<T> x, hg::in<T> dy, cache& c, hg::out<T> dx, params& dp) const {
    const hg::matrix<T> active = c.pre.cwiseMax(T{0});
    const hg::matrix<T> dpre = T{2} * active.cwiseProduct(dy * p.down);
    dp.down.noalias() += dy.transpose() * active.cwiseAbs2();
    dp.up.noalias() += dpre.transpose() * x;
    dx.noalias() = dpre * p.up;
  }
};
static_assert(hg::trainable_expert<trainable_relu2<float>>);

/// Weights every token by exp(<x, w>) and sends it to expert t mod n: a gate with parameters and a backward of its own.
template <std::floating_point T>
struct loudness_gate {
  using scalar = T;
  struct params {
    hg::matrix<T> w;
  };
  struct cache {};
  static constexpr auto fields = std::tuple{hg::field{"w", &params::w}};
  hg::index model, experts;

  params init(std::mt19937_64& g) const { return {hg::randn<T>(1, model, g, T(0.1))}; }
  void route(const params& p, hg::in<T> x, hg::routing<T>& r, cache&) const {
    for (hg::index t = 0; t < x.rows(); ++t)
      r.assignments.push_back({t, t % experts, std::exp(x.row(t).dot(p.w.row(0)))});
  }
  void backward(const params& p, hg::in<T> x, const hg::routing<T>& r, cache&, hg::routing_gradient<T>& d,
                hg::out<T> dx, params& dp) const {
    for (hg::index a = 0; a < r.assignments.size(); ++a) {
      const hg::index t = r.assignments[a].token;
      const T dlogit = d.weights(a, 0) * r.assignments[a].weight;
      dp.w.row(0) += dlogit * x.row(t);
      dx.row(t) += dlogit * p.w.row(0);
    }
  }
};
static_assert(hg::trainable_gate<loudness_gate<float>>);

}  // namespace

TEST_CASE("the manual's gate and expert compute what they say inside a layer", "[layer][user]") {
  const hg::layer layer{hash_gate<float>{6, 4}, relu2_expert<float>{6, 5}, /*seed=*/42};
  const auto x = random_matrix<float>(9, 6, {1});
  const auto y = layer(x);
  for (hg::index t = 0; t < 9; ++t) {
    const auto& p = layer.params().experts[t % 4];
    const hg::matrix<float> expected = (x.row(t) * p.up.transpose()).cwiseMax(0.f).cwiseAbs2() * p.down.transpose();
    CHECK((y.row(t) - expected).norm() < 1e-6f);
  }
}

TEST_CASE("a user's gate and expert have the right gradients inside a layer", "[layer][user]") {
  hg::layer layer{loudness_gate<double>{6, 3}, trainable_relu2<double>{{6, 5}}, 42};
  layer.for_each_tensor([](std::string_view, auto& w) { w *= 5.0; });  // away from the kink at zero
  CHECK(hg::testing::check_layer_gradients(layer, random_matrix(8, 6, {31}), strict()));
  hg::layer beside{hash_gate<double>{6, 3}, trainable_relu2<double>{{6, 5}},
                   hg::ffn_expert<double, hg::gelu>{.model = 6, .hidden = 3}, 1};
  CHECK(hg::testing::check_layer_gradients(beside, random_matrix(8, 6, {31}), strict()));
}

TEST_CASE("a user's gate and expert train", "[layer][user]") {
  const auto train = [](auto layer) {
    const auto x = random_matrix<float>(64, 6, {1}), target = random_matrix<float>(64, 6, {2});
    typename decltype(layer)::tape tape;
    auto grads = layer.zero_gradients();
    hg::matrix<float> y, dx;
    hg::adamw<float> adam{.rate = 1e-2};
    float first = 0, last = 0;
    for (int step = 0; step < 100; ++step) {
      layer.forward(x, y, tape);
      const auto [loss, dy] = hg::mean_squared_error<float>(y, target);
      if (step == 0) first = loss;
      last = loss;
      layer.set_zero(grads);
      layer.backward(x, dy, tape, dx, grads);
      adam.step(layer, grads);
    }
    CHECK(last < 0.8f * first);
  };
  train(hg::layer{hash_gate<float>{6, 4}, trainable_relu2<float>{{6, 16}}, 1});
  train(hg::layer{loudness_gate<float>{6, 4}, trainable_relu2<float>{{6, 16}}, 1});
  train(hg::layer{loudness_gate<float>{6, 4}, hg::swiglu_expert<float>{.model = 6, .hidden = 16}, 1});
  train(hg::layer{hg::topk_gate<float>{.head = {.model = 6, .experts = 4}, .select = {.k = 2}},
                  trainable_relu2<float>{{6, 16}}, 1});
}
