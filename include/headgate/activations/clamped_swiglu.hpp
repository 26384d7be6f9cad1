// SPDX-License-Identifier: BSD-3-Clause
// SwiGLU on clamped projections: the hidden value of gpt-oss, DeepSeek-V4 and MiniMax-M3.
#pragma once

#include <headgate/activations/scalar_or_batch.hpp>
#include <headgate/activations/swish.hpp>
#include <headgate/concepts/activation.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>

#include <cmath>
#include <limits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Where the gate projection is cut off: where it exceeds the limit, or where its size does.
enum class gate_clamp { above, both_sides };

/// value(gate, up) = g s(alpha g) (u + up_offset), s the logistic function, with
///
///   g = min(gate, limit), or gate within [-limit, limit] with gate_clamp::both_sides
///   u = up within [-limit, limit]
///
/// Three published forms that are easy to mix up; what is not given comes from the model's own settings:
///
///   gpt-oss        {}: limit 7, alpha 1.702, up_offset 1, gate_clamp::above
///   DeepSeek-V4    {.limit, .alpha = 1, .up_offset = 0}
///   MiniMax-M3     {.limit, .alpha, .gate_clamp = gate_clamp::both_sides}, up_offset 1
///
/// A projection outside its bounds gets no gradient; one that stands on a bound still gets it.
struct clamped_swiglu {
  double limit = 7.0;
  double alpha = 1.702;
  double up_offset = 1.0;
  headgate::gate_clamp gate_clamp = headgate::gate_clamp::above;

  void check() const {
    if (!(limit > 0)) refuse("clamped_swiglu: limit is ", limit, ", it must be greater than 0");
    if (!std::isfinite(alpha)) refuse("clamped_swiglu: alpha is ", alpha, ", it must be finite");
    if (!std::isfinite(up_offset)) refuse("clamped_swiglu: up_offset is ", up_offset, ", it must be finite");
  }

  template <class V>
  [[nodiscard]] V value(V gate, V up) const {
    return swish{alpha}.value(within(least_gate(), gate)) * (within(-limit, up) + number<V>(up_offset));
  }
  template <class V>
  [[nodiscard]] pair_gradient<V> gradient(V gate, V up) const {
    const V g = within(least_gate(), gate);
    const V of_gate = swish{alpha}.derivative(g) * (within(-limit, up) + number<V>(up_offset));
    return {inside(least_gate(), gate, of_gate), inside(-limit, up, swish{alpha}.value(g))};
  }

 private:
  [[nodiscard]] double least_gate() const {
    return gate_clamp == headgate::gate_clamp::above ? -std::numeric_limits<double>::infinity() : -limit;
  }
  /// x in [least, limit]; a NaN stays.
  template <class V>
  [[nodiscard]] V within(double least, V x) const {
    const V floored = choose(x < number<V>(least), number<V>(least), x);
    return choose(floored > number<V>(limit), number<V>(limit), floored);
  }
  /// The derivative d where x lies in [least, limit], else 0.
  template <class V>
  [[nodiscard]] V inside(double least, V x, V d) const {
    return choose(x < number<V>(least), number<V>(0), choose(x > number<V>(limit), number<V>(0), d));
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
