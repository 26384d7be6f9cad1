// SPDX-License-Identifier: BSD-3-Clause
// Activations, gated linear units and row updates in plain loops: what kernels/elementwise.hpp must compute.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>

#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace reference {

/// y = act(x).
template <class T, class Activation>
void activate(read_view<T> x, view<T> y, const Activation& act) {
  for (index r = 0; r < y.rows; ++r)
    for (index c = 0; c < y.cols; ++c) y(r, c) = act.value(x(r, c));
}

/// dx = dy * act'(x).
template <class T, class Activation>
void activate_backward(read_view<T> x, read_view<T> dy, view<T> dx, const Activation& act) {
  for (index r = 0; r < dx.rows; ++r)
    for (index c = 0; c < dx.cols; ++c) dx(r, c) = dy(r, c) * act.derivative(x(r, c));
}

/// h = act(u) * v.
template <class T, class Activation>
void glu(read_view<T> u, read_view<T> v, view<T> h, const Activation& act) {
  for (index r = 0; r < h.rows; ++r)
    for (index c = 0; c < h.cols; ++c) h(r, c) = act.value(u(r, c)) * v(r, c);
}

/// du = dh * v * act'(u) and dv = dh * act(u).
template <class T, class Activation>
void glu_backward(read_view<T> u, read_view<T> v, read_view<T> dh, view<T> du, view<T> dv, const Activation& act) {
  for (index r = 0; r < du.rows; ++r)
    for (index c = 0; c < du.cols; ++c) {
      const T value = act.value(u(r, c));
      const T derivative = act.derivative(u(r, c));
      const T gradient = dh(r, c);
      du(r, c) = gradient * v(r, c) * derivative;
      dv(r, c) = gradient * value;
    }
}

/// y = a x.
template <class T>
void scale_row(std::type_identity_t<T> a, const T* x, T* y, index n) {
  for (index i = 0; i < n; ++i) y[i] = a * x[i];
}

/// y = y + a x.
template <class T>
void axpy_row(std::type_identity_t<T> a, const T* x, T* y, index n) {
  for (index i = 0; i < n; ++i) y[i] += a * x[i];
}

}  // namespace reference
}  // namespace HEADGATE_ABI
}  // namespace headgate
