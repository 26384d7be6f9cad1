// SPDX-License-Identifier: BSD-3-Clause
// The first half of a layer's pass: who goes where, with what weight.
#pragma once

#include <headgate/concepts/gate_policy.hpp>
#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/capacity.hpp>
#include <headgate/routing/plan.hpp>
#include <headgate/routing/routing.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The routing record of a batch, its plan, and the memory of both, reused by the next batch.
template <class Gate>
struct routed_batch {
  using T = typename Gate::scalar;

  headgate::routing<T> routing;  ///< of the last pass
  dispatch_plan plan;            ///< of the last pass
  scratch<T> slot_weights;       ///< (slots x 1), of the last pass
  typename Gate::cache gate_cache;

  /// Routes x (tokens x model). May refuse the logits or what the gate made of them.
  template <class Executor>
  void route(const Gate& gate, const typename Gate::params& p, const capacity& capacity, in<T> x,
             const pass<T, Executor>& pass) {
    routing.reset(x.rows(), experts_of(gate));
    if constexpr (contextual_gate<Gate>)
      gate.route(p, x, routing, gate_cache, pass);
    else
      gate.route(p, x, routing, gate_cache);
    plan.make(routing, capacity, pass.executor);
    slot_weights.resize(plan.slots(), 1);
    for (index s = 0; s < plan.slots(); ++s) slot_weights(s, 0) = routing.assignments[plan.assignment_of(s)].weight;
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
