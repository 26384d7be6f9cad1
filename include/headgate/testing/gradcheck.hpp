// SPDX-License-Identifier: BSD-3-Clause
// Analytic gradients against finite differences, for any function and for a whole layer.
#pragma once

#include <headgate/concepts/routing_loss.hpp>
#include <headgate/config.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace testing {

/// The numeric derivative has the fourth-order stencil
///
///   n = (8 (f(v + h) - f(v - h)) - (f(v + 2h) - f(v - 2h))) / (12 h)
///
/// whose error is about h^4 f''''' / 30 + 2e-16 |f| / h: 2e-12 |f| at the default step. The relative error
/// |a - n| / max(|a| + |n|, floor) thus reaches 1e-6 for f of about 10 and below. A gradient under the floor is
/// compared absolutely. f must be smooth within 2h: keep kinks (ReLU) and changes of a selection out of there.
struct gradient_options {
  double step = 1e-4;
  double floor = 1e-4;
  double tolerance = 1e-6;

  bool training = true;     ///< layers: whether noise and dropout act
  random_stream random{1};  ///< layers: their noise, and the weights of the loss
};

/// The worst element met so far.
struct gradient_report {
  double tolerance = 1e-6;
  double worst = 0;  ///< relative error
  std::string name;
  index row = 0;
  index column = 0;
  double analytic = 0;
  double numeric = 0;
  index elements = 0;  ///< how many were compared

  [[nodiscard]] explicit operator bool() const { return worst <= tolerance; }
  [[nodiscard]] std::string text() const {
    return sentence("gradient of ", name, " at (", row, ", ", column, "): analytic ", analytic, ", numeric ", numeric,
                    ", relative error ", worst, " where ", tolerance, " is allowed (", elements, " elements compared)");
  }

  void include(const gradient_report& other) {
    const index together = elements + other.elements;
    if (other.worst > worst) *this = other;
    elements = together;
  }

  template <class Stream>
  friend Stream& operator<<(Stream& stream, const gradient_report& r) {
    stream << r.text().c_str();
    return stream;
  }
};

/// One argument of a function: its values, which the check changes and puts back, and dL/d(values).
struct argument {
  std::string_view name;
  view<double> values;
  view<const double> analytic;

  argument(std::string_view argument_name, view<double> v, view<const double> dv)
      : name(argument_name), values(v), analytic(dv) {}
  template <class V, class DV>  // matrix<double> or weights<double>
    requires std::same_as<typename V::Scalar, double> argument(std::string_view argument_name, V& v, const DV& dv)
        : argument(argument_name, view_of(v), view_of(dv)) {}
};

/// Differentiates f() by every element of every argument, and compares.
///
///   gradient_check([&] { return loss(w, x); }, {{"w", w, dw}, {"x", x, dx}})
template <class F>
[[nodiscard]] gradient_report gradient_check(const F& f, std::initializer_list<argument> arguments,
                                             const gradient_options& options = {}) {
  gradient_report result;
  result.tolerance = options.tolerance;
  const auto meet = [&](double error, std::string_view name, index r, index c, double a, double n) {
    if (error <= result.worst) return;
    result.worst = error;
    result.name = name;
    result.row = r;
    result.column = c;
    result.analytic = a;
    result.numeric = n;
  };
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (const argument& one : arguments) {
    if (one.values.rows != one.analytic.rows || one.values.cols != one.analytic.cols) {
      meet(infinity, one.name, one.analytic.rows, one.analytic.cols, 0, 0);  // a gradient of another shape
      continue;
    }
    for (index r = 0; r < one.values.rows; ++r)
      for (index c = 0; c < one.values.cols; ++c) {
        double& value = one.values(r, c);
        const double there = value;
        const auto at = [&](double steps) {
          value = there + steps * options.step;
          return static_cast<double>(f());
        };
        const double near = at(1) - at(-1);
        const double n = (8 * near - (at(2) - at(-2))) / (12 * options.step);
        value = there;
        const double a = one.analytic(r, c);
        const double error = std::abs(a - n) / (std::max)(std::abs(a) + std::abs(n), options.floor);
        meet(std::isfinite(error) ? error : infinity, one.name, r, c, a, n);
        ++result.elements;
      }
  }
  return result;
}

/// (rows x cols) of normal numbers, the same everywhere.
template <class T = double>
[[nodiscard]] matrix<T> random_matrix(index rows, index cols, const random_stream& stream) {
  matrix<T> m(rows, cols);
  for (index r = 0; r < rows; ++r)
    for (index c = 0; c < cols; ++c) m(r, c) = static_cast<T>(normal(stream, r, c));
  return m;
}

/// Moves every trained parameter away from its initial value, so that nothing is left at a zero that hides an error.
template <class Policy>
void disturb(typename Policy::params& p, const random_stream& stream, double scale = 0.3) {
  field_path path;
  std::uint64_t id = 0;
  const auto move = [&](std::string_view, auto& w) {  // of the policy's scalar type, or wider
    using T = typename std::remove_cvref_t<decltype(w)>::Scalar;
    w += static_cast<T>(scale) * random_matrix<T>(w.rows(), w.cols(), stream.channel(id++));
  };
  for_each_field<Policy, fields_of::training>(path, move, p);
}

/// All parameters of a layer (or dense_layer), and its input, with L = <y, dy> + losses(routing) for a random dy. Takes
/// a copy of the layer.
template <class Layer, class... Losses>
[[nodiscard]] gradient_report check_layer_gradients(Layer layer, matrix<double> x, const gradient_options& options = {},
                                                    const Losses&... losses) {
  static_assert(std::is_same_v<typename Layer::scalar, double>,
                "check_layer_gradients: differences need a layer of double");
  const matrix<double> dy = random_matrix(x.rows(), layer.outputs(), options.random.channel(1));
  typename Layer::tape tape;
  tape.training = options.training;
  matrix<double> y;
  const auto loss = [&] {
    tape.random = options.random;  // the same noise each time
    layer.forward(x, y, tape);
    double sum = (y.array() * dy.array()).sum();
    if constexpr (sizeof...(losses) > 0) {
      tape.gradient.reset(tape.routing);
      sum += add_losses(tape.routing, tape.gradient, losses...);
    }
    return sum;
  };
  loss();
  auto grads = layer.zero_gradients();
  matrix<double> dx;
  layer.backward(x, dy, tape, dx, grads, losses...);

  gradient_report result = gradient_check(loss, {{"x", x, dx}}, options);
  layer.for_each_parameter(grads, [&](std::string_view name, auto& w, const auto& dw) {
    result.include(gradient_check(loss, {{name, w, dw}}, options));
  });
  return result;
}

}  // namespace testing
}  // namespace HEADGATE_ABI
}  // namespace headgate
