// SPDX-License-Identifier: BSD-3-Clause
// What tests of gates share: stages checked alone, records of one pass, comparisons bit for bit.
#pragma once

#include <headgate/gates/stages.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/testing/check_gate.hpp>

#include "support/catch.hpp"

#include <initializer_list>
#include <vector>

namespace headgate_test {

namespace hg = headgate;
using hg::testing::random_matrix;

inline constexpr hg::gate_shape no_shape{1, 1};

/// A matrix from its rows.
inline hg::matrix<double> rows_of(std::initializer_list<std::initializer_list<double>> rows) {
  hg::matrix<double> m(static_cast<hg::index>(rows.size()), static_cast<hg::index>(rows.begin()->size()));
  hg::index r = 0;
  for (const auto& row : rows) {
    hg::index c = 0;
    for (const double value : row) m(r, c++) = value;
    ++r;
  }
  return m;
}

/// The experts of one token, in the order of the record.
template <class T>
std::vector<hg::index> experts_of_token(const hg::routing<T>& r, hg::index token) {
  std::vector<hg::index> experts;
  for (const auto& a : r.assignments)
    if (a.token == token) experts.push_back(a.expert);
  return experts;
}

/// The combine weights as a dense matrix (tokens x experts), zero where not routed.
template <class T>
hg::matrix<T> dense_weights(const hg::routing<T>& r) {
  hg::matrix<T> g = hg::matrix<T>::Zero(r.tokens, r.experts);
  for (const auto& a : r.assignments) g(a.token, a.expert) = a.weight;
  return g;
}

/// One gate with its parameters, cache, record and gradients.
template <class Gate>
struct routed {
  using T = typename Gate::scalar;
  Gate gate;
  typename Gate::params p, dp;
  typename Gate::cache cache;
  hg::routing<T> r;
  hg::routing_gradient<T> d;
  hg::matrix<T> dx;

  explicit routed(const Gate& with, std::uint64_t seed = 1) : gate(with) {
    std::mt19937_64 generator(seed);
    p = gate.init(generator);
    dp = p;
  }

  /// Routes x: in evaluation, or in training with the noise of a seed.
  const hg::routing<T>& operator()(const hg::matrix<T>& x) { return run(x, false, {}); }
  const hg::routing<T>& training(const hg::matrix<T>& x, std::uint64_t seed) { return run(x, true, {seed}); }

  /// The gradient of sum(dg * weights), dg (tokens x experts), after a pass; dp and dx are overwritten.
  void backward(const hg::matrix<T>& x, const hg::matrix<T>& dg) {
    d.reset(r);
    for (hg::index i = 0; i < r.assignments.size(); ++i)
      d.weights(i, 0) = dg(r.assignments[i].token, r.assignments[i].expert);
    pull_back(x);
  }
  /// The gradient of a routing loss; returns its value.
  template <class Loss>
  T backward_of(const hg::matrix<T>& x, const Loss& loss) {
    d.reset(r);
    const T value = loss(r, d);
    pull_back(x);
    return value;
  }

 private:
  const hg::routing<T>& run(const hg::matrix<T>& x, bool with_noise, hg::random_stream random) {
    training_ = with_noise;
    random_ = random;
    hg::testing::detail::route_with(gate, p, x, r, cache, with_noise, random);
    return r;
  }
  void pull_back(const hg::matrix<T>& x) {
    hg::testing::detail::set_parameters<Gate>(dp, T{0});
    dx = hg::matrix<T>::Zero(x.rows(), x.cols());
    hg::testing::detail::pull_back_with(gate, p, x, r, cache, d, dx, dp, training_, random_);
  }

  bool training_ = false;
  hg::random_stream random_{};
};

/// A router that copies its input: logits = x.
template <class Gate>
routed<Gate> copying(const Gate& gate) {
  routed<Gate> one(gate);
  one.p.head.weight.setIdentity();
  return one;
}

/// A score stage with its parameters and cache, alone.
template <class Score, class Scalar = double>
struct scored {
  using T = Scalar;
  using params = typename hg::detail::params_of<Score>::type;
  Score score;
  hg::gate_shape shape;
  params p{}, dp{};
  typename hg::detail::cache_of<Score>::type cache{};
  hg::matrix<T> s, dz, dx;
  bool training = false;
  hg::random_stream random{1};
  hg::scratch<T> memory{};

  scored(const Score& with, hg::gate_shape sizes) : score(with), shape(sizes) {
    std::mt19937_64 generator(1);
    p = hg::detail::init_stage(score, shape, generator);
    dp = p;
  }

  const hg::matrix<T>& forward(const hg::matrix<T>& x, const hg::matrix<T>& z) {
    s.setConstant(z.rows(), z.cols(), 7);
    if constexpr (requires { typename Score::cache; })
      score.forward(p, x, hg::view_of(z), hg::view_of(s), cache, pass());
    else
      score.forward(hg::view_of(z), hg::view_of(s));
    return s;
  }
  const hg::matrix<T>& forward(const hg::matrix<T>& z) {
    return forward(hg::matrix<T>::Zero(z.rows(), shape.model), z);
  }
  void backward(const hg::matrix<T>& x, const hg::matrix<T>& z, const hg::matrix<T>& ds) {
    dz = hg::matrix<T>::Zero(z.rows(), z.cols());
    dx = hg::matrix<T>::Zero(x.rows(), x.cols());
    const hg::view<const T> s_rows = hg::view_of(std::as_const(s));
    if constexpr (requires { typename Score::cache; })
      score.backward(p, x, hg::view_of(z), s_rows, hg::view_of(ds), hg::view_of(dz), dx, dp, cache, pass());
    else
      score.backward(hg::view_of(z), s_rows, hg::view_of(ds), hg::view_of(dz));
  }

  /// Differences of <s, random> by z, x and every parameter.
  hg::testing::gradient_report check_gradients(hg::matrix<T> x, hg::matrix<T> z) {
    const hg::matrix<T> ds = random_matrix(z.rows(), z.cols(), {91});
    const auto loss = [&] { return (forward(x, z).array() * ds.array()).sum(); };
    hg::field_path path;
    if constexpr (requires { Score::fields; }) {
      const auto clear = [](std::string_view, hg::matrix<T>& dw) { dw.setZero(); };
      hg::for_each_field<Score, hg::fields_of::training>(path, clear, dp);
    }
    loss();
    backward(x, z, ds);
    auto result = hg::testing::gradient_check(loss, {{"z", z, dz}, {"x", x, dx}});
    if constexpr (requires { Score::fields; }) {
      const auto compare = [&](std::string_view name, hg::matrix<T>& w, hg::matrix<T>& dw) {
        result.include(hg::testing::gradient_check(loss, {{name, w, dw}}));
      };
      hg::for_each_field<Score, hg::fields_of::training>(path, compare, p, dp);
    }
    return result;
  }

 private:
  hg::pass<T> pass() { return {hg::run_sequentially, memory, training, random}; }
};

/// Differences of <w, random> by the scores of a weigh stage, which adds to ds; no expert at all is no error.
template <class Weigh>
hg::testing::gradient_report check_weigh_gradients(const Weigh& weigh, hg::matrix<double> s) {
  const hg::index n = s.cols();
  const hg::matrix<double> dw = random_matrix(1, n, {92});
  hg::matrix<double> w(1, n), ds = hg::matrix<double>::Ones(1, n);
  const auto loss = [&] {
    weigh.forward(static_cast<const double*>(s.data()), n, w.data());
    return (w.array() * dw.array()).sum();
  };
  loss();
  const double* const read = s.data();
  hg::matrix<double> copy_of_w = w, copy_of_dw = dw;  // a stage that wraps another may overwrite them
  weigh.backward(read, copy_of_w.data(), n, copy_of_dw.data(), ds.data());
  ds.array() -= 1;
  double untouched = 5;
  weigh.forward(read, hg::index{0}, &untouched);
  weigh.backward(read, &untouched, hg::index{0}, &untouched, &untouched);
  CHECK(untouched == 5);
  return hg::testing::gradient_check(loss, {{"s", s, ds}});
}

/// What a selection picks from a row of scores.
template <class Select>
std::vector<hg::index> selected(const Select& select, const std::vector<double>& s) {
  std::vector<hg::index> ids(s.size() + 1, -7);
  const hg::index count = select(s.data(), static_cast<hg::index>(s.size()), ids.data());
  CHECK(ids.back() == -7);
  ids.resize(static_cast<std::size_t>(count));
  return ids;
}

}  // namespace headgate_test
