// SPDX-License-Identifier: BSD-3-Clause
// Logits as a router of 16 bits gives them to its score.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/core/round_to.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/gates/stages.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/routing/routing.hpp>

#include <concepts>
#include <limits>
#include <tuple>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// s = score(z rounded to Storage, to nearest even): the cast point of models whose router is a linear layer in bf16 or
/// fp16. T is the gate's scalar. The gradient goes straight through the rounding, and is that of `score` at the rounded
/// logits. The record holds the logits before the rounding: only the score sees the rounded ones. A finite logit beyond
/// Storage's numbers becomes the largest finite one of its sign, because -infinity means an expert that is switched off.
template <class Storage, class Score, std::floating_point T = float>
struct rounded_score {
  static constexpr score_kind kind = Score::kind;

  struct params {
    HEADGATE_NO_UNIQUE_ADDRESS typename detail::params_of<Score>::type score;
  };
  struct cache {
    scratch<T> rounded;  // (tokens x experts)
    HEADGATE_NO_UNIQUE_ADDRESS typename detail::cache_of<Score>::type score;
  };
  static constexpr auto fields = detail::stage_field<Score, params>(&params::score);

  HEADGATE_NO_UNIQUE_ADDRESS Score score{};

  void check(gate_shape shape) const { detail::check_stage(score, shape); }

  [[nodiscard]] params init(gate_shape shape, std::mt19937_64& generator) const {
    return {detail::init_stage(score, shape, generator)};
  }

  template <class Pass>
  void forward(const params& p, in<T> x, view<const T> z, view<T> s, cache& c, const Pass& pass) const {
    const view<T> rounded = c.rounded.resize(z.rows, z.cols);
    for (index t = 0; t < z.rows; ++t)
      for (index e = 0; e < z.cols; ++e) rounded(t, e) = in_storage(z(t, e));
    if constexpr (has_cache)
      score.forward(p.score, x, view<const T>(rounded), s, c.score, pass);
    else
      score.forward(view<const T>(rounded), s);
  }

  template <class Pass>
  void backward(const params& p, in<T> x, view<const T>, view<const T> s, view<const T> ds, view<T> dz, out<T> dx,
                params& dp, cache& c, const Pass& pass) const {
    const view<const T> rounded = c.rounded.block();
    if constexpr (has_cache)
      score.backward(p.score, x, rounded, s, ds, dz, dx, dp.score, c.score, pass);
    else
      score.backward(rounded, s, ds, dz);
  }

 private:
  /// z rounded, finite if z is.
  static T in_storage(T z) {
    const T nearest = round_to<Storage>(z);
    if (kernels::is_finite(nearest) || !kernels::is_finite(z)) return nearest;
    return z < T{0} ? -largest() : largest();
  }
  static T largest() {
    if constexpr (std::is_floating_point_v<Storage>) {
      return static_cast<T>((std::numeric_limits<Storage>::max)());
    } else {
      Storage number(std::numeric_limits<float>::infinity());
      --number.bits;  // the neighbour of infinity
      return static_cast<T>(static_cast<float>(number));
    }
  }

  static constexpr bool has_cache = requires { typename Score::cache; };
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
