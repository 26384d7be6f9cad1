// SPDX-License-Identifier: BSD-3-Clause
// Gradients of parameters that every rank has a replica of.
#pragma once

#include <headgate/concepts/communicator.hpp>
#include <headgate/concepts/partly_replicated.hpp>
#include <headgate/config.hpp>
#include <headgate/core/weights.hpp>

#include <string_view>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Each trained matrix of `grads` that every rank has a replica of becomes its sum over ranks, added in the order of the ranks:
/// the same bits on all, so replicas that start equal stay equal. Of a `layer` that is all, of an `expert_parallel_layer` the
/// gate and the shared expert; the gradients of its experts are complete without it. A model that contains such a layer
/// must have its walk `for_each_replicated_gradient`, or different experts are added to one another; see `average_gradients`.
///
/// One message for each matrix, in place: packed into one buffer they would be one message, but need memory of the size of the
/// module, and most bytes are in few large matrices.
template <communicator Communicator, class Module, class Gradients>
void all_reduce_gradients(Communicator& ranks, Module& module, Gradients& grads) {
  static_assert(detail::walks_shared_gradients<Module, Gradients>,
                "all_reduce_gradients: the module needs for_each_parameter(grads, f), and for_each_replicated_gradient("
                "grads, f) if each rank has parts of its own");
  detail::for_each_shared_gradient(module, grads,
                                   [&](std::string_view, auto& d) { ranks.all_reduce(detail::values_of(d)); });
}

/// Data parallelism: each rank ran the whole module on tokens of its own; each trained matrix of `grads` becomes its mean over
/// ranks, `all_reduce_gradients` divided by their number. For losses that are means over a rank's tokens, and as many tokens
/// on each rank, it is the gradient of the mean over all.
///
/// Not for a module with parts of a rank's own. An `expert_parallel_layer` is refused when it is compiled; A MODEL THAT CONTAINS
/// ONE IS NOT FOUND OUT, and would average different experts with one another. Average the rest of such a model, and give
/// the layer to `all_reduce_gradients`; that one sums, so divide the layer's gradients by the number of ranks, those of its
/// experts too. A model that has the `for_each_replicated_...` walks of that layer is refused as it is.
template <communicator Communicator, class Module, class Gradients>
void average_gradients(Communicator& ranks, Module& module, Gradients& grads) {
  static_assert(!partly_replicated<Module> && !detail::walks_replicated_gradients<Module, Gradients>,
                "average_gradients: each rank has experts of its own; use all_reduce_gradients");
  static_assert(partly_replicated<Module> || detail::walks_parameters<Module, Gradients>,
                "average_gradients: the module needs for_each_parameter(grads, f)");
  const index size = ranks.size();
  all_reduce_gradients(ranks, module, grads);
  module.for_each_parameter(grads, [&](std::string_view, auto&, auto& d) {
    d /= static_cast<typename std::remove_cvref_t<decltype(d)>::Scalar>(size);
  });
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
