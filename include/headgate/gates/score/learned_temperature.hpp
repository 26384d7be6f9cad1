// SPDX-License-Identifier: BSD-3-Clause
// Dense-to-sparse scores: a softmax whose temperature is learned (Nie et al. 2021, arXiv:2112.14397, eq. 5; Nguyen et al.
// 2024, arXiv:2401.13875), with the logits as they are or passed through an activation first.
#pragma once

#include <headgate/activations/identity.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/kernels/reduce.hpp>
#include <headgate/kernels/softmax.hpp>
#include <headgate/routing/routing.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// s = softmax((activation(z) + offset) / tau), tau = exp(log_temperature)
///
/// log_temperature (1 x 1) keeps tau positive. `offset` (1 x experts) stands after the activation, where arXiv:2401.13875
/// puts the gate's bias; with the identity it would be the head's own bias, so it exists only for other activations.
/// Scaling (w, b, tau) of the head by one factor changes nothing with the identity: the flaw that the activation cures.
template <class T, class Activation = identity>
struct learned_temperature {
  static constexpr score_kind kind = score_kind::distribution;
  static constexpr bool has_offset = !std::is_same_v<Activation, identity>;

  struct params {
    matrix<T> log_temperature;
    matrix<T> offset;  // 0 x 0 with the identity
  };
  struct cache {
    scratch<T> v, du;  // (1 x experts)
  };
  static constexpr auto fields = [] {
    if constexpr (has_offset)
      return std::tuple{field{"log_temperature", &params::log_temperature}, field{"offset", &params::offset}};
    else
      return std::tuple{field{"log_temperature", &params::log_temperature}};
  }();

  T initial_temperature = T{1};
  HEADGATE_NO_UNIQUE_ADDRESS Activation activation{};

  void check(gate_shape) const {
    if (!(initial_temperature > 0 && initial_temperature <= (std::numeric_limits<T>::max)()))
      refuse("learned_temperature: initial_temperature is ", initial_temperature,
             ", it must be greater than 0 and finite");
  }

  [[nodiscard]] params init(gate_shape shape, std::mt19937_64&) const {
    params p{matrix<T>::Constant(1, 1, std::log(initial_temperature)), {}};
    if constexpr (has_offset) p.offset = matrix<T>::Zero(1, shape.experts);
    return p;
  }

  template <class Pass>
  void forward(const params& p, in<T>, view<const T> z, view<T> s, cache&, const Pass&) const {
    for (index t = 0; t < z.rows; ++t) {
      for (index e = 0; e < z.cols; ++e) s(t, e) = before_temperature(p, z(t, e), e);
      kernels::softmax_row_at(static_cast<const T*>(s.row(t)), temperature(p), s.row(t), z.cols);
    }
  }

  /// With v = activation(z) + offset, u = (v - max v) / tau and du = softmax pull-back of ds:
  /// dz += du activation'(z) / tau, doffset += du / tau, dlog_temperature -= <du, u>.
  template <class Pass>
  void backward(const params& p, in<T>, view<const T> z, view<const T> s, view<const T> ds, view<T> dz, out<T>,
                params& dp, cache& c, const Pass&) const {
    const T tau = temperature(p);
    for (index t = 0; t < z.rows; ++t) {
      const view<T> v = c.v.resize(1, z.cols);
      const view<T> du = c.du.zero(1, z.cols);
      for (index e = 0; e < z.cols; ++e) v(0, e) = before_temperature(p, z(t, e), e);
      const T largest = kernels::max_row(static_cast<const T*>(v.data), z.cols);
      kernels::softmax_backward_row(s.row(t), ds.row(t), du.data, z.cols);
      for (index e = 0; e < z.cols; ++e) {
        if (kernels::is_minus_infinity(z(t, e))) continue;
        // Kept finite: an expert that the temperature rules out has du = 0, and 0 * inf is no gradient.
        const T u = (std::max)((v(0, e) - largest) / tau, std::numeric_limits<T>::lowest());
        dz(t, e) += du(0, e) / tau * activation.derivative(z(t, e));
        dp.log_temperature(0, 0) -= du(0, e) * u;
        if constexpr (has_offset) dp.offset(0, e) += du(0, e) / tau;
      }
    }
  }

 private:
  /// exp(log_temperature), kept between the smallest and the largest normal number.
  static T temperature(const params& p) {
    using limits = std::numeric_limits<T>;
    return std::clamp(std::exp(p.log_temperature(0, 0)), (limits::min)(), (limits::max)());
  }
  /// activation(z) + offset; an expert that is switched off stays so.
  [[nodiscard]] T before_temperature(const params& p, T z, index e) const {
    return kernels::is_minus_infinity(z) ? z : activation.value(z) + offset(p, e);
  }
  static T offset([[maybe_unused]] const params& p, [[maybe_unused]] index e) {
    if constexpr (has_offset)
      return p.offset(0, e);
    else
      return T{0};
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
