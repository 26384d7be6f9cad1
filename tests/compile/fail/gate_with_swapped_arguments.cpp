// expect: layer: Gate does not model headgate::gate_policy (docs/writing-a-gate.md)
// SPDX-License-Identifier: BSD-3-Clause
#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/layer.hpp>

struct swapped_gate {
  using scalar = float;
  struct params {};
  struct cache {};
  static constexpr auto fields = std::tuple{};
  headgate::index model, experts;

  params init(std::mt19937_64&) const { return {}; }
  void route(headgate::in<float>, const params&, headgate::routing<float>&, cache&) const {}
};

headgate::layer refused{swapped_gate{.model = 8, .experts = 4},
                        headgate::swiglu_expert<float>{.model = 8, .hidden = 16}, 1};
