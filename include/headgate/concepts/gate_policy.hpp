// SPDX-License-Identifier: BSD-3-Clause
// What a gate must offer.
#pragma once

#include <headgate/concepts/policy_sizes.hpp>
#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/routing.hpp>

#include <concepts>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A gate routes tokens. A policy object is its configuration; parameters, cache and record are the caller's.
///
///   route(p, x, r, c)   appends assignments to r, which comes empty with its sizes set
///
/// A gate that wants noise, threads or working memory takes a pass as fifth argument instead (`contextual_gate`); its type
/// is a template parameter, because it carries the caller's executor.
/// Models: `gate<...>`, the user's gate of docs/writing-a-gate.md. Not a model: a gate that hides its sizes.
template <class G>
concept gate_policy = std::floating_point<typename G::scalar> &&
    requires(const G gate, const typename G::params& p, typename G::cache& c, in<typename G::scalar> x,
             routing<typename G::scalar>& r, std::mt19937_64& generator, const pass<typename G::scalar>& context) {
  G::fields;  // names of the matrices of params
  { model_of(gate) } -> std::same_as<index>;
  { experts_of(gate) } -> std::same_as<index>;
  { gate.init(generator) } -> std::same_as<typename G::params>;
  requires requires { gate.route(p, x, r, c); } || requires {
    gate.route(p, x, r, c, context);
  };
};

/// A gate that also takes the circumstances of the pass.
template <class G>
concept contextual_gate = gate_policy<G> &&
    requires(const G gate, const typename G::params& p, typename G::cache& c, in<typename G::scalar> x,
             routing<typename G::scalar>& r, const pass<typename G::scalar>& context) {
  gate.route(p, x, r, c, context);
};

/// A gate with a backward: adds the gradients of the record `d` to dx and dp. A gate without one can still serve in a
/// trained layer if it has no parameters (hash routing): then nothing needs to flow through it.
template <class G>
concept trainable_gate = gate_policy<G> &&
    requires(const G gate, const typename G::params& p, typename G::cache& c, in<typename G::scalar> x,
             const routing<typename G::scalar>& r, routing_gradient<typename G::scalar>& d, out<typename G::scalar> dx,
             typename G::params& dp, const pass<typename G::scalar>& context) {
  requires requires { gate.backward(p, x, r, c, d, dx, dp); } || requires {
    gate.backward(p, x, r, c, d, dx, dp, context);
  };
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
