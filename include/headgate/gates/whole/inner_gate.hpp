// SPDX-License-Identifier: BSD-3-Clause
// What gates that wrap another gate share: calling it as a layer would.
#pragma once

#include <headgate/concepts/gate_policy.hpp>
#include <headgate/concepts/policy_sizes.hpp>
#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/recorded_pass.hpp>
#include <headgate/routing/routing.hpp>
#include <headgate/routing/steering.hpp>

#include <span>

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

template <class T, class Executor>
pass<T, Executor> steered_by(const steering<T>* how, pass<T, Executor> pass) {
  pass.steering = how;
  return pass;
}

/// For gates that choose the experts themselves and leave scores, weights and the backward to a gate of four stages: what
/// they choose is forced upon it.
template <class T>
class chosen_experts {
 public:
  void start(index experts) { pass_.reset(experts, record_weights::no); }
  /// The next token's experts.
  void add(const index* ids, index count) {
    pass_.append(std::span<const index>(ids, static_cast<std::size_t>(count)), {});
  }

  /// All that follows the head of a gate of four stages. Needs logits of -infinity where experts are off.
  template <class Gate, class Executor>
  void route(const Gate& gate, const typename Gate::params& p, in<T> x, routing<T>& r, typename Gate::cache& c,
             const pass<T, Executor>& pass) {
    steering_.forced = &pass_;
    gate.route_logits(p, x, r, c, steered_by(&steering_, pass));
  }

 private:
  recorded_pass<T> pass_;
  steering<T> steering_;
};

/// The head of a gate of four stages, with the logits of -infinity that `how` wants. NaN and +infinity are refused as the
/// gate does it.
template <class Gate, class Executor, class T>
void route_head(const Gate& gate, const typename Gate::params& p, in<typename Gate::scalar> x, routing<T>& r,
                typename Gate::cache& c, const pass<T, Executor>& pass) {
  r.reset(x.rows(), experts_of(gate));
  gate.head.forward(p.head, x, r, c.head, pass);
  if (kernels::first_nan_or_plus_infinity_in_row(static_cast<const T*>(r.logits.data()), r.logits.size()) >= 0)
    gate.route_logits(p, x, r, c, steered_by<T>(nullptr, pass));
  if (pass.steering == nullptr) return;
  pass.steering->check(r.tokens, r.experts);
  pass.steering->switch_off(r.logits.block());
}

}  // namespace detail
}  // namespace HEADGATE_ABI
}  // namespace headgate
