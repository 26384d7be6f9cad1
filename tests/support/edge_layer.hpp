// SPDX-License-Identifier: BSD-3-Clause
// A published family's layer whose router gives the logits that a test wants; what tests of the edges of routing stand on.
#pragma once

#include <headgate/models/family.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/steering.hpp>

#include "support/any_executor.hpp"
#include "support/layer_checks.hpp"
#include "support/oracle_checks.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace headgate_test {

/// A family's layer and what its published formula says, in numbers and as the transcription of its block.
template <class Family>
struct edge_setting {
  typename Family::shape shape;     ///< of model >= 8, and without a capacity that drops anything
  published::block_function block;  ///< the transcription
  published::options options;       ///< and its options
  std::vector<double> equal;        ///< the k weights of a token all of whose logits are 0
  std::vector<double> at_bottom{};  ///< the same for logits of -1e4; empty: as for 0
};

/// The gate with the four stages in a family's gate: itself, or the one that it wraps; or a whole gate.
template <class Gate>
[[nodiscard]] const auto& stages_of(const Gate& gate) {
  if constexpr (requires { gate.gate; })
    return stages_of(gate.gate);
  else
    return gate;
}

/// A gate alone, with its record and gradients.
template <class Gate>
struct gate_alone {
  using T = typename Gate::scalar;
  Gate gate;
  typename Gate::params p;
  typename Gate::cache cache{};
  hg::routing<T> r{};
  hg::scratch<T> memory{};
  any_executor executor{hg::run_sequentially};
  hg::steering<T> steering{};

  [[nodiscard]] hg::pass<T, any_executor> pass() {
    return {executor, memory, false, {}, steering.is_set() ? &steering : nullptr};
  }
  void route(const hg::matrix<T>& x) { gate.route(p, x, r, cache, pass()); }
  /// Routes from logits that no head has computed.
  void route_logits(const hg::matrix<T>& z) {
    const hg::matrix<T> x = hg::matrix<T>::Ones(z.rows(), gate.model());
    r.reset(z.rows(), gate.experts());
    hg::map_of(r.logits.resize(z.rows(), z.cols())) = z;
    gate.route_logits(p, x, r, cache, pass());
  }
  /// Weights and gradients are finite, for gradients of the weights of unit size and of 100.
  void check_finite() {
    for (const auto& a : r.assignments) CHECK(std::isfinite(a.weight));
    const hg::matrix<T> x = hg::matrix<T>::Ones(r.tokens, gate.model());
    for (const T size : {T{1}, T{100}}) {
      hg::routing_gradient<T> d;
      d.reset(r);
      for (hg::index i = 0; i < r.assignments.size(); ++i) d.weights(i, 0) = i % 2 == 0 ? size : -size;
      hg::matrix<T> dx = hg::matrix<T>::Zero(r.tokens, gate.model());
      auto dp = p;
      dp.head.weight.setZero();
      gate.backward(p, x, r, cache, d, dx, dp, pass());
      CHECK(dx.allFinite());
      CHECK(dp.head.weight.allFinite());
      for (hg::index i = 0; i < r.logits.size(); ++i)
        if (!std::isfinite(r.logits.data()[i])) CHECK(d.logits.data()[i] == T{0});
    }
  }
};

/// The layer of a family, whose router is made to give the logits that a test wants.
template <class Family, class T>
struct edge_layer {
  using layer_type = hg::family_layer<Family, T>;
  using stages = std::remove_cvref_t<decltype(stages_of(std::declval<const typename layer_type::gate_type&>()))>;
  using ids = std::vector<hg::index>;

  static constexpr bool has_stages = requires(const stages& gate) { gate.select; };
  static constexpr bool steerable = requires { requires layer_type::gate_type::steerable; };
  static constexpr bool has_bias = requires(layer_type & l) { l.params().gate.select.adjust.selection_bias; };
  static constexpr T off = -infinity<T>;
  static constexpr double rounding = static_cast<double>(epsilon<T>);

  edge_setting<Family> given;
  layer_type layer;
  typename layer_type::tape tape{};
  hg::matrix<T> x{}, y{};
  any_executor executor{hg::run_sequentially};
  hg::index experts = 0, k = 0, groups = 1, kept_groups = 1;

  explicit edge_layer(const edge_setting<Family>& with)
      : given(with), layer(hg::make_moe_layer<Family, T>(with.shape, 1)) {
    layer.for_each_tensor(disturb_all{{2}});
    layer.for_each_tensor([](std::string_view name, auto& w) {
      if (name.starts_with("gate.") && name.find("bias") != name.npos) w.setZero();
    });
    tape.training = false;
    experts = layer.experts();
    route(equal_rows({0}));
    k = tape.routing.assignments.size();
    if constexpr (requires { with.shape.groups; }) groups = with.shape.groups, kept_groups = with.shape.kept_groups;
  }

  /// Rows of equal logits.
  [[nodiscard]] hg::matrix<T> equal_rows(const std::vector<double>& values) const {
    hg::matrix<T> z(static_cast<hg::index>(values.size()), experts);
    for (hg::index t = 0; t < z.rows(); ++t) z.row(t).setConstant(static_cast<T>(values[static_cast<std::size_t>(t)]));
    return z;
  }

  /// Token t is row t of the identity, and the router's column t holds its logits: exactly these are computed.
  void route(const hg::matrix<T>& z) {
    x = hg::matrix<T>::Identity(z.rows(), layer.model());
    hg::matrix<T>& w = layer.params().gate.head.weight;
    w.setZero();
    w.leftCols(z.rows()) = z.transpose();
    layer.forward(executor, x, y, tape);
    if (!tape.steering.is_set()) REQUIRE(hg::map_of(tape.routing.logits.block()) == z);
  }

  [[nodiscard]] ids experts_of(hg::index token) const {
    ids all;
    for (const auto& a : tape.routing.assignments)
      if (a.token == token) all.push_back(a.expert);
    return all;
  }
  [[nodiscard]] std::vector<T> weights_of(hg::index token) const {
    std::vector<T> all;
    for (const auto& a : tape.routing.assignments)
      if (a.token == token) all.push_back(a.weight);
    return all;
  }

  /// The weights of a token are these, to some roundings.
  void check_weights(hg::index token, const std::vector<double>& expected) const {
    const std::vector<T> weights = weights_of(token);
    REQUIRE(weights.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
      CHECK(std::abs(static_cast<double>(weights[i]) - expected[i]) <= 16 * rounding * std::max(1.0, expected[i]));
  }

  /// Experts in their order, weights and outputs are those of the transcription. Where that has 0 / 0, weights are 0.
  void check_by_the_book() {
    published::routing taken;
    const published::rows expected = given.block(tensors_on_disk<Family>(given.shape, layer.params()), given.options,
                                                 plain_rows(x.template cast<double>()), &taken);
    for (hg::index t = 0; t < x.rows(); ++t) {
      const published::choices& chosen = taken[static_cast<std::size_t>(t)];
      INFO("token " << t << " by the book:" << described(chosen));
      ids named;
      std::vector<double> weights;
      for (const published::choice& c : chosen) {
        named.push_back(static_cast<hg::index>(c.expert));
        weights.push_back(std::isnan(c.weight) ? 0 : c.weight);
      }
      CHECK(experts_of(t) == named);
      check_weights(t, weights);
      double scale = 1, error = 0;
      for (hg::index c = 0; c < y.cols(); ++c) {
        const double value = expected[static_cast<std::size_t>(t)][static_cast<std::size_t>(c)];
        if (std::isnan(value)) continue;
        scale = std::max(scale, std::abs(value));
        error = std::max(error, std::abs(static_cast<double>(y(t, c)) - value));
      }
      CHECK(error <= 32 * rounding * scale);
    }
  }

  /// Weights, outputs and all gradients of the last pass are finite.
  void check_finite() {
    for (const auto& a : tape.routing.assignments) CHECK(std::isfinite(a.weight));
    CHECK(y.allFinite());
    for (const T size : {T{1}, T{100}}) {
      const hg::matrix<T> dy = size * random_matrix<T>(y.rows(), y.cols(), {3});
      auto grads = layer.zero_gradients();
      hg::matrix<T> dx;
      layer.backward(executor, x, dy, tape, dx, grads);
      CHECK(dx.allFinite());
      bool finite = true;
      decltype(grads)::template walk<hg::fields_of::storage>(
          [&](std::string_view, const auto& w) { finite = finite && w.allFinite(); }, grads);
      CHECK(finite);
    }
  }

  [[nodiscard]] gate_alone<stages> gate_of_logits() const {
    return {.gate = stages_of(layer.gate()), .p = layer.params().gate};
  }
};

}  // namespace headgate_test
