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
    field_path path;
    {
      const auto inside = path.enter("gate");
      for_each_field<Gate, Which>(path, f, self.gate, others.gate...);
    }
    {
      const auto inside = path.enter("experts");
      for (index e = 0; e < self.experts.size(); ++e) {
        const auto numbered = path.enter(e);
        for_each_field<Expert, Which>(path, f, self.experts[e], others.experts[e]...);
      }
    }
    const auto inside = path.enter("shared");
    for_each_field<Shared, Which>(path, f, self.shared, others.shared...);
  }
};

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
  field_path path;
  const auto compare = [](const char* with) {
    return [with](std::string_view name, const auto& w, const auto& like) {
      if (w.rows() != like.rows() || w.cols() != like.cols())
        refuse("layer: the parameter ", name, " is ", w.rows(), " x ", w.cols(), ", ", with, " ", like.rows(), " x ",
               like.cols());
    };
  };
  std::mt19937_64 generator(0);
  const typename Gate::params fresh = gate.init(generator);
  {
    const auto inside = path.enter("gate");
    auto as_drawn = compare("the gate asks for");
    for_each_field<Gate, fields_of::storage>(path, as_drawn, ready.gate, fresh);
  }
  if constexpr (requires { expert.check(ready.experts[0]); }) expert.check(ready.experts[0]);
  {
    const auto inside = path.enter("experts");
    auto as_first = compare("that of expert 0 is");
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
template <class Gate, class Expert, class Shared>
struct layer_tape : layer_workspace<Gate, Expert, Shared> {
  using T = typename Gate::scalar;

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
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
