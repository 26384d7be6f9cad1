// SPDX-License-Identifier: BSD-3-Clause
// What the nonlinearity of an expert must offer.
#pragma once

#include <headgate/config.hpp>

#include <xsimd/xsimd.hpp>

#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The derivatives of a function of two projections with respect to each.
template <class V>
struct pair_gradient {
  V gate, up;
};

namespace detail {
template <class A, class V>
concept activates = requires(const A& act, V x) {
  { act.value(x) } -> std::same_as<V>;
  { act.derivative(x) } -> std::same_as<V>;
};
template <class A, class V>
concept activates_pair = requires(const A& act, V gate, V up) {
  { act.value(gate, up) } -> std::same_as<V>;
  { act.gradient(gate, up) } -> std::same_as<pair_gradient<V>>;
};
}  // namespace detail

/// A function of one number with its derivative, as two const templates `V value(V x)` and `V derivative(V x)` that
/// take a float, a double or a vector of them (xsimd::batch) alike; options are members.
/// activations/scalar_or_batch.hpp has what such a formula needs beside xsimd's own functions.
///
/// value(NaN) is NaN, so that a diverged model shows. At a kink the derivative is one of the two one-sided ones, and
/// the policy's comment says which.
///
/// Models: `silu`, `gelu`, `leaky_relu`. Not a model: anything that needs a whole row, as a softmax does.
template <class A>
concept activation = detail::activates<A, float> && detail::activates<A, double> &&
    detail::activates<A, xsimd::batch<float>> && detail::activates<A, xsimd::batch<double>>;

/// A function of the two projections of a GLU where it is more than activation(gate) * up, as two const templates
/// `V value(V gate, V up)` and `pair_gradient<V> gradient(V gate, V up)`. All else is as for an `activation`.
///
/// Models: `clamped_swiglu`. Not a model: `silu`, of which `glu_expert` makes silu(gate) * up by itself.
template <class A>
concept pair_activation = detail::activates_pair<A, float> && detail::activates_pair<A, double> &&
    detail::activates_pair<A, xsimd::batch<float>> && detail::activates_pair<A, xsimd::batch<double>>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
