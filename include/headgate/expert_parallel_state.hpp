// SPDX-License-Identifier: BSD-3-Clause
// What one rank owns of a layer whose experts are spread over ranks: parameters and gradients, the workspace of a pass.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/expert_exchange.hpp>
#include <headgate/layer_state.hpp>

namespace headgate {
inline namespace HEADGATE_ABI {

/// One rank's parameters, or anything shaped like them: the gate and the shared expert, of which each rank has a replica, and
/// the rank's own experts. Names are those of the whole layer: "experts.5.up" is expert 5's on whatever rank.
template <class Gate, class Expert, class Shared>
struct expert_parallel_parameters : layer_parameters<Gate, Expert, Shared> {
  array<index> ids;  ///< (experts) of this rank, ascending

  template <fields_of Which, class F, class Self, class... Others>
  static void walk(F&& f, Self& self, Others&... others) {
    base::template walk_gate<Which>(f, self, others...);
    base::template walk_experts<Which>(
        f, [&](index e) { return self.ids[e]; }, self, others...);
    base::template walk_shared<Which>(f, self, others...);
  }
  /// Only what every rank has.
  template <fields_of Which, class F, class Self, class... Others>
  static void walk_replicated(F&& f, Self& self, Others&... others) {
    base::template walk_gate<Which>(f, self, others...);
    base::template walk_shared<Which>(f, self, others...);
  }

 private:
  using base = layer_parameters<Gate, Expert, Shared>;
};

/// That of a layer, and what the exchange with other ranks needs.
template <class Gate, class Expert, class Shared>
struct expert_parallel_workspace : layer_workspace<Gate, Expert, Shared> {
  using T = typename Gate::scalar;

  expert_exchange<T> exchange;
  scratch<T> received_x;        // (rows x model), of all ranks' tokens
  scratch<T> received_dy;       // (rows x outputs)
  scratch<T> received_weights;  // (slots here x 1)
  scratch<T> rows_here;  // (slots here x outputs), what this rank's experts compute; then (slots here x model), dx
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
