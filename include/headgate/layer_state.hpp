// SPDX-License-Identifier: BSD-3-Clause
// What a layer's caller owns: parameters and gradients, the workspace of a pass, the tape between forward and backward.
#pragma once

#include <headgate/checks.hpp>
#include <headgate/concepts/policy_sizes.hpp>
#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/random.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/experts/expert_bank.hpp>
#include <headgate/experts/shared.hpp>
#include <headgate/routed_batch.hpp>
#include <headgate/routed_experts.hpp>
#include <headgate/routing/routing.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Parameters of a layer, or anything shaped like them: gradients, moments. Names: "gate.weight", "experts.0.up",
/// "shared.up". Experts without parameters of their own (`parameterised_of`) are not in there.
template <class Gate, class Expert, class Shared>
struct layer_parameters {
  typename Gate::params gate;
  array<typename Expert::params> experts;
  HEADGATE_NO_UNIQUE_ADDRESS typename Shared::params shared;

  /// Calls f(name, matrix, the matrix of the same name in others...) in a fixed order.
  template <fields_of Which, class F, class Self, class... Others>
  static void walk(F&& f, Self& self, Others&... others) {
    walk_gate<Which>(f, self, others...);
    walk_experts<Which>(
        f, [](index e) { return e; }, self, others...);
    walk_shared<Which>(f, self, others...);
  }

 protected:
  template <fields_of Which, class F, class Self, class... Others>
  static void walk_gate(F&& f, Self& self, Others&... others) {
    field_path path;
    const auto inside = path.enter("gate");
    for_each_field<Gate, Which>(path, f, self.gate, others.gate...);
  }
  /// number(e) is what expert e is called.
  template <fields_of Which, class F, class Number, class Self, class... Others>
  static void walk_experts(F&& f, const Number& number, Self& self, Others&... others) {
    field_path path;
    const auto inside = path.enter("experts");
    for (index e = 0; e < self.experts.size(); ++e) {
      const auto numbered = path.enter(number(e));
      for_each_field<Expert, Which>(path, f, self.experts[e], others.experts[e]...);
    }
  }
  template <fields_of Which, class F, class Self, class... Others>
  static void walk_shared(F&& f, Self& self, Others&... others) {
    field_path path;
    const auto inside = path.enter("shared");
    for_each_field<Shared, Which>(path, f, self.shared, others.shared...);
  }
};

/// Refuses policies of which no layer can be made: options that make no sense, sizes that contradict each other.
template <class Gate, class Expert, class Shared, class Options>
void check_policies(const Gate& gate, const Expert& expert, const Shared& shared, const Options& options) {
  const index model = model_of(gate), experts = experts_of(gate);
  check_positive("layer", "model", model);
  check_positive("layer", "experts", experts);
  if constexpr (requires { gate.check(); }) gate.check();
  if constexpr (requires { expert.check(); }) expert.check();
  options.check();
  if (const index parameterised = parameterised_of(expert, experts); parameterised < 1)
    refuse("layer: of its ", experts, " experts ", experts - parameterised,
           " have no parameters, at least one must have some");
  if (model_of(expert) != model)
    refuse("layer: the expert was built for model = ", model_of(expert), ", the gate for model = ", model);
  if constexpr (!std::is_same_v<Shared, no_shared_expert>) {
    static_assert(expert_policy<Shared>,
                  "layer: Shared does not model headgate::expert_policy (docs/writing-an-expert.md)");
    if constexpr (requires { shared.check(); }) shared.check();
    if (model_of(shared) != model || outputs_of(shared) != outputs_of(expert))
      refuse("layer: the shared expert maps ", model_of(shared), " to ", outputs_of(shared), ", the routed ones map ",
             model, " to ", outputs_of(expert));
  }
}

/// Refuses parameters of a gate of other shapes than a fresh draw has, which is small.
template <class Gate>
void check_gate_parameters(const Gate& gate, const typename Gate::params& ready) {
  std::mt19937_64 generator(0);
  const typename Gate::params fresh = gate.init(generator);
  field_path path;
  const auto inside = path.enter("gate");
  auto compare = [](std::string_view name, const auto& w, const auto& like) {
    if (w.rows() != like.rows() || w.cols() != like.cols())
      refuse("layer: the parameter ", name, " is ", w.rows(), " x ", w.cols(), ", the gate asks for ", like.rows(),
             " x ", like.cols());
  };
  for_each_field<Gate, fields_of::storage>(path, compare, ready, fresh);
}

/// Refuses ready parameters that do not fit the policies: their number, the shapes of the gate's (a fresh draw tells them,
/// and is small), and those of the experts as far as the policies say them by a `check(params)`. What an expert without it
/// needs is its caller's promise, except that all experts are of one shape.
template <class Gate, class Expert, class Shared>
void check_ready(const Gate& gate, const Expert& expert, const Shared& shared,
                 const layer_parameters<Gate, Expert, Shared>& ready) {
  const index experts = experts_of(gate);
  if (const index wanted = parameterised_of(expert, experts); ready.experts.size() != wanted)
    refuse("layer: the parameters are of ", ready.experts.size(), " experts, the gate says experts = ", experts,
           wanted < experts ? sentence(", of which ", wanted, " have parameters") : "");
  check_gate_parameters(gate, ready.gate);
  if constexpr (requires { expert.check(ready.experts[0]); }) expert.check(ready.experts[0]);
  {
    field_path path;
    const auto inside = path.enter("experts");
    auto as_first = [](std::string_view name, const auto& w, const auto& like) {
      if (w.rows() != like.rows() || w.cols() != like.cols())
        refuse("layer: the parameter ", name, " is ", w.rows(), " x ", w.cols(), ", that of expert 0 is ", like.rows(),
               " x ", like.cols());
    };
    for (index e = 1; e < ready.experts.size(); ++e) {
      const auto numbered = path.enter(e);
      for_each_field<Expert, fields_of::storage>(path, as_first, ready.experts[e], ready.experts[0]);
    }
  }
  if constexpr (requires { shared.check(ready.shared); }) shared.check(ready.shared);
}

/// Memory of one forward pass, reused by the next: after a first pass of a size nothing is allocated, unless more
/// assignments come up than ever before (a gate or a capacity may vary their number, and experts without parameters that of
/// the others). One thread at a time may use it. Between passes its record tells who went where.
template <class Gate, class Expert, class Shared>
struct layer_workspace : routed_batch<Gate>, routed_experts<Expert> {
  using T = typename Gate::scalar;

  HEADGATE_NO_UNIQUE_ADDRESS std::conditional_t<
      std::is_same_v<Shared, no_shared_expert>, no_shared_expert,
      expert_bank_cache<std::conditional_t<std::is_same_v<Shared, no_shared_expert>, Expert, Shared>>>
      shared_cache;
  scratch<T> kernel_memory;
};

/// What backward needs of the forward before it. The caller owns and reuses it.
template <class Workspace>
struct tape_of : Workspace {
  using T = typename Workspace::T;

  /// Noise and dropout of the next forward, which then moves on by one step. Set it to repeat a pass.
  random_stream random{};
  /// False: gradients of the layer as it is in evaluation, without noise and dropout.
  bool training = true;

  index tokens = -1;            // of the forward that backward may follow, -1 for none
  headgate::shape_key sizes{};  // of the layer that ran it
  random_stream used{};
  routing_gradient<T> gradient;
  scratch<T> dexpert_rows;  // (tokens x outputs) of the shared expert, then (slots x outputs)
  scratch<T> dslots;        // (slots x model)

  /// A forward that fails leaves nothing to differentiate.
  void begin() { tokens = -1; }
  void finish(index batch, const shape_key& of_layer) {
    used = random;
    if (training) random = random.next();
    tokens = batch;
    sizes = of_layer;
  }
};

template <class Gate, class Expert, class Shared>
using layer_tape = tape_of<layer_workspace<Gate, Expert, Shared>>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
