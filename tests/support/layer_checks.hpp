// SPDX-License-Identifier: BSD-3-Clause
// What tests of experts and layers share: reproducible matrices, equality of bits, gradients by central differences.
#pragma once

#include "support/catch.hpp"
#include "support/kernel_checks.hpp"

#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/routing/routing.hpp>

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace headgate_test {

/// (rows x cols) of numbers in [-1, 1), the same everywhere.
template <class T>
hg::matrix<T> random_matrix(hg::index rows, hg::index cols, std::uint64_t seed) {
  numbers next(seed);
  hg::matrix<T> m(rows, cols);
  for (hg::index i = 0; i < m.size(); ++i) m.data()[i] = next.within(T{1});
  return m;
}

/// The same size and, element by element, the same bits.
template <class A, class B>
bool same_matrix(const A& a, const B& b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return false;
  for (hg::index r = 0; r < a.rows(); ++r)
    for (hg::index c = 0; c < a.cols(); ++c)
      if (!same_bits(a(r, c), b(r, c))) return false;
  return true;
}

/// All matrices that a layer, or an object shaped like its parameters, holds are bit for bit the same.
template <class Parameters>
bool same_parameters(const Parameters& a, const Parameters& b) {
  bool same = true;
  Parameters::template walk<hg::fields_of::storage>(
      [&](std::string_view, const auto& one, const auto& other) { same = same && same_matrix(one, other); }, a, b);
  return same;
}

/// What f says when it refuses; empty if it does not.
template <class F>
std::string refusal(const F& f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return {};
}

/// How far `analytic` is from the derivative of f with respect to x, as a fraction of what is tolerated: 1e-6 of the
/// derivative, or of 1e-3 where it is smaller than that.
inline double gradient_error(double& x, double analytic, const std::function<double()>& f) {
  const double h = 1e-4, at = x;
  const auto value = [&](double moved) {
    x = moved;
    return f();
  };
  const double numeric = (8 * (value(at + h) - value(at - h)) - (value(at + 2 * h) - value(at - 2 * h))) / (12 * h);
  x = at;
  return std::abs(numeric - analytic) / (1e-6 * (std::max)(std::abs(numeric), 1e-3));
}

/// Checks dw against central differences of f in every element of w.
inline void check_gradient(std::string_view name, hg::matrix<double>& w, const hg::matrix<double>& dw,
                           const std::function<double()>& f) {
  REQUIRE(w.rows() == dw.rows());
  REQUIRE(w.cols() == dw.cols());
  double worst = 0;
  for (hg::index i = 0; i < w.size(); ++i) worst = (std::max)(worst, gradient_error(w.data()[i], dw.data()[i], f));
  INFO(std::string(name) << ": error " << worst * 1e-6);
  CHECK(worst <= 1);
}

/// Gradient of <g, y> plus the losses with respect to x and to every trained matrix, in double.
template <class Layer, class... Losses>
void check_layer_gradients(Layer& layer, hg::index tokens, bool training, const Losses&... losses) {
  hg::matrix<double> x = random_matrix<double>(tokens, layer.model(), 31);
  const hg::matrix<double> g = random_matrix<double>(tokens, layer.outputs(), 32);
  hg::matrix<double> y, dx;
  typename Layer::tape tape;
  tape.training = training;
  auto grads = layer.zero_gradients();
  const auto forward = [&] {
    tape.random = {7, 2};  // the same noise in every pass
    layer.forward(x, y, tape);
  };
  forward();
  layer.backward(x, g, tape, dx, grads, losses...);
  const std::function<double()> total = [&] {
    forward();
    double sum = y.cwiseProduct(g).sum();
    hg::routing_gradient<double> unused;
    unused.reset(tape.routing);
    ((sum += losses(tape.routing, unused)), ...);
    return sum;
  };
  check_gradient("x", x, dx, total);
  layer.for_each_parameter(grads,
                           [&](std::string_view name, auto& w, const auto& dw) { check_gradient(name, w, dw, total); });
}

}  // namespace headgate_test
