// SPDX-License-Identifier: BSD-3-Clause
// Operations element by element: activations, gated linear units, and the linear updates of a row.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/view.hpp>
#include <headgate/kernels/lanes.hpp>

#include <xsimd/xsimd.hpp>

#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace kernels {

// An `Activation` has value(v) and derivative(v) for batches. Every output may be the same memory as an input.

/// y = act(x), both (rows x cols).
template <class Arch = xsimd::default_arch, class T, class Activation>
void activate(read_view<T> x, view<T> y, const Activation& act) {
  for (index r = 0; r < y.rows; ++r)
    for_each_vector<T, Arch>(y.cols, [&, x_row = x.row(r), y_row = y.row(r)](auto lanes) {
      lanes.store(y_row, act.value(lanes.load(x_row)));
    });
}

/// dx = dy * act'(x), all (rows x cols).
template <class Arch = xsimd::default_arch, class T, class Activation>
void activate_backward(read_view<T> x, read_view<T> dy, view<T> dx, const Activation& act) {
  for (index r = 0; r < dx.rows; ++r)
    for_each_vector<T, Arch>(dx.cols, [&, x_row = x.row(r), dy_row = dy.row(r), dx_row = dx.row(r)](auto lanes) {
      lanes.store(dx_row, lanes.load(dy_row) * act.derivative(lanes.load(x_row)));
    });
}

/// h = act(u) * v, all (rows x cols): the inner part of a gated linear unit (Shazeer 2020, arXiv:2002.05202, eq. 5).
template <class Arch = xsimd::default_arch, class T, class Activation>
void glu(read_view<T> u, read_view<T> v, view<T> h, const Activation& act) {
  for (index r = 0; r < h.rows; ++r)
    for_each_vector<T, Arch>(h.cols, [&, u_row = u.row(r), v_row = v.row(r), h_row = h.row(r)](auto lanes) {
      lanes.store(h_row, act.value(lanes.load(u_row)) * lanes.load(v_row));
    });
}

/// du = dh * v * act'(u) and dv = dh * act(u), all (rows x cols).
template <class Arch = xsimd::default_arch, class T, class Activation>
void glu_backward(read_view<T> u, read_view<T> v, read_view<T> dh, view<T> du, view<T> dv, const Activation& act) {
  for (index r = 0; r < du.rows; ++r)
    for_each_vector<T, Arch>(du.cols, [&, u_row = u.row(r), v_row = v.row(r), dh_row = dh.row(r), du_row = du.row(r),
                                       dv_row = dv.row(r)](auto lanes) {
      const auto u_lanes = lanes.load(u_row);
      const auto v_lanes = lanes.load(v_row);
      const auto dh_lanes = lanes.load(dh_row);
      lanes.store(du_row, dh_lanes * v_lanes * act.derivative(u_lanes));
      lanes.store(dv_row, dh_lanes * act.value(u_lanes));
    });
}

/// y = a x.
template <class Arch = xsimd::default_arch, class T>
void scale_row(std::type_identity_t<T> a, const T* x, T* y, index n) {
  const xsimd::batch<T, Arch> factor(a);
  for_each_vector<T, Arch>(n, [&](auto lanes) { lanes.store(y, factor * lanes.load(x)); });
}

/// y = y + a x, one fused multiply-add for each element.
template <class Arch = xsimd::default_arch, class T>
void axpy_row(std::type_identity_t<T> a, const T* x, T* y, index n) {
  const xsimd::batch<T, Arch> factor(a);
  for_each_vector<T, Arch>(n, [&](auto lanes) { lanes.store(y, xsimd::fma(factor, lanes.load(x), lanes.load(y))); });
}

}  // namespace kernels
}  // namespace HEADGATE_ABI
}  // namespace headgate
