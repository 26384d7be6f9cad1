// SPDX-License-Identifier: BSD-3-Clause
// The first half of a layer's pass: who goes where, with what weight.
#pragma once

#include <headgate/concepts/executor.hpp>
#include <headgate/concepts/gate_policy.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/capacity.hpp>
#include <headgate/routing/plan.hpp>
#include <headgate/routing/routing.hpp>
#include <headgate/routing/steering.hpp>

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
  headgate::steering<T> steering;  ///< of the next passes: the caller's

  /// Routes x (tokens x model), as `steering` wants. May refuse the logits or what the gate made of them, and a steering
  /// that asks for the impossible.
  template <class Executor>
  void route(const Gate& gate, const typename Gate::params& p, const capacity& capacity, in<T> x,
             const pass<T, Executor>& pass) {
    check_steering();
    routing.reset(x.rows(), experts_of(gate));
    if constexpr (contextual_gate<Gate>)
      gate.route(p, x, routing, gate_cache, steered(pass));
    else
      gate.route(p, x, routing, gate_cache);
    routing.keep_mask(steering.mask);
    plan.make(routing, capacity, pass.executor);
    take_slot_weights();
  }

  /// Replaces the last batch's assignments by so many, spread over its tokens and the experts: lets later batches of as many
  /// find their memory, however they are routed.
  template <executor Executor>
  void route_worst(index assignments, const Executor& executor) {
    routing.mask.resize(routing.tokens, 1);  // a later pass may have a mask
    routing.mask.resize(0, 0);
    routing.assignments.clear();
    routing.assignments.reserve(assignments);
    for (index a = 0; a < assignments; ++a) {
      const index each = assignments / routing.tokens;
      routing.assignments.push_back({a / each, (a / each + a % each) % routing.experts, T{0}});
    }
    plan.make(routing, headgate::capacity{}, executor);
    take_slot_weights();
  }

  /// Bytes of all this, without the gate's cache.
  [[nodiscard]] static constexpr index bytes(index tokens, index assignments, index experts) {
    constexpr index scalar = static_cast<index>(sizeof(T));
    const index record =
        assignments * static_cast<index>(sizeof(assignment<T>)) + 2 * tokens * experts * scalar + tokens;
    return record + dispatch_plan::bytes(tokens, assignments, experts) + assignments * scalar;
  }

 private:
  static constexpr bool steerable = requires { requires Gate::steerable; };

  void check_steering() const {
    if (!steerable && steering.is_set())
      refuse("routed_batch: steering is set, but this gate cannot be steered (it is not marked `steerable`)");
  }

  template <class Executor>
  [[nodiscard]] headgate::pass<T, Executor> steered(headgate::pass<T, Executor> pass) const {
    if (steering.is_set()) pass.steering = &steering;
    return pass;
  }

  void take_slot_weights() {
    slot_weights.resize(plan.slots(), 1);
    for (index s = 0; s < plan.slots(); ++s) slot_weights(s, 0) = routing.assignments[plan.assignment_of(s)].weight;
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
