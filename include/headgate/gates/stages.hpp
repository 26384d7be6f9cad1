// SPDX-License-Identifier: BSD-3-Clause
// What the four stages of a gate share (docs/writing-a-gate.md shows how to write one).
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/random.hpp>

#include <tuple>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The sizes of a gate, for stages whose parameters depend on them.
struct gate_shape {
  index model = 0;
  index experts = 0;
};

/// Whether a selection names the best first, by the scores that it chooses by: it says `static constexpr bool best_first =
/// true`. Without it nobody takes the first one named for the best.
template <class Select>
inline constexpr bool selects_best_first = requires {
  requires Select::best_first;
};

namespace detail {

/// Stands in for the parameters and the cache of a stage that has none.
struct nothing {};

template <class Stage>
struct params_of {
  using type = nothing;
};
template <class Stage>
  requires requires { typename Stage::params; }
struct params_of<Stage> {
  using type = typename Stage::params;
};

template <class Stage>
struct cache_of {
  using type = nothing;
};
template <class Stage>
  requires requires { typename Stage::cache; }
struct cache_of<Stage> {
  using type = typename Stage::cache;
};

/// A tuple of one `part` for a stage with parameters, and of nothing for one without.
template <class Stage, class Params, class Member>
constexpr auto stage_field(Member Params::*member) {
  if constexpr (requires { typename Stage::params; })
    return std::tuple<part_field<Stage, Params>>(part<Stage>("", member));
  else
    return std::tuple<>{};
}

template <class Stage>
typename params_of<Stage>::type init_stage(const Stage& stage, gate_shape shape, std::mt19937_64& generator) {
  if constexpr (requires { stage.init(shape, generator); })
    return stage.init(shape, generator);
  else
    return {};
}

/// Lets a stage refuse its options: `check(shape)` where it has one.
template <class Stage>
void check_stage(const Stage& stage, gate_shape shape) {
  if constexpr (requires { stage.check(shape); }) stage.check(shape);
}

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
