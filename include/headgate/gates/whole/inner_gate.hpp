// SPDX-License-Identifier: BSD-3-Clause
// What gates that wrap another gate share: calling it as a layer would.
#pragma once

#include <headgate/concepts/gate_policy.hpp>
#include <headgate/concepts/policy_sizes.hpp>
#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/routing.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace detail {

template <class Gate>
void check_inner(const Gate& gate) {
  if constexpr (requires { gate.check(); }) gate.check();
}

/// Empties the record and lets the gate fill it.
template <class Gate, class Executor>
void route_inner(const Gate& gate, const typename Gate::params& p, in<typename Gate::scalar> x,
                 routing<typename Gate::scalar>& r, typename Gate::cache& c,
                 const pass<typename Gate::scalar, Executor>& pass) {
  r.reset(x.rows(), experts_of(gate));
  if constexpr (contextual_gate<Gate>)
    gate.route(p, x, r, c, pass);
  else
    gate.route(p, x, r, c);
}

template <class Gate, class Executor>
void backward_inner(const Gate& gate, const typename Gate::params& p, in<typename Gate::scalar> x,
                    const routing<typename Gate::scalar>& r, typename Gate::cache& c,
                    routing_gradient<typename Gate::scalar>& d, out<typename Gate::scalar> dx,
                    typename Gate::params& dp, const pass<typename Gate::scalar, Executor>& pass) {
  if constexpr (requires { gate.backward(p, x, r, c, d, dx, dp, pass); })
    gate.backward(p, x, r, c, d, dx, dp, pass);
  else
    gate.backward(p, x, r, c, d, dx, dp);
}

/// f(block of the record, block of the other) for each of the dense blocks that a record and its gradient have.
template <class F, class A, class B>
void for_each_block(const F& f, A& a, B& b) {
  f("router logit", a.logits, b.logits);
  f("score", a.scores, b.scores);
  f("router logit before the noise", a.clean_logits, b.clean_logits);
  f("noise scale", a.noise_scale, b.noise_scale);
}

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
