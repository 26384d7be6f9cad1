// SPDX-License-Identifier: BSD-3-Clause
// Gradients of parameters that every rank has a replica of.
#pragma once

#include <headgate/concepts/communicator.hpp>
#include <headgate/concepts/partly_replicated.hpp>
#include <headgate/config.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {

/// The values of a parameter matrix, which lie without gaps.
template <class M>
[[nodiscard]] auto values_of(M& m) {
  return std::span(m.data(), static_cast<std::size_t>(m.size()));
}

}  // namespace detail

/// Data parallelism: each rank ran the whole module on tokens of its own; each trained matrix of `grads` becomes its mean over
/// ranks, added in the order of the ranks: the same bits on all, so replicas that start equal stay equal. For losses
/// that are means over a rank's tokens, and as many tokens on each rank, it is the gradient of the mean over all.
///
/// Not for a module with parts of a rank's own. An `expert_parallel_layer` is refused when it is compiled; A MODEL THAT CONTAINS
/// ONE IS NOT FOUND OUT, and would average different experts with one another. Average the rest of such a model, and give
/// the layer to `all_reduce_gradients`; that one sums, so divide the layer's gradients by the number of ranks, those of its
/// experts too. A model that has the `for_each_replicated_...` walks of that layer is refused as it is.
///
/// One message for each matrix, in place: packed into one buffer they would be one message, but need memory of the size of the
/// module, and most bytes are in few large matrices.
template <communicator Communicator, class Module, class Gradients>
void average_gradients(Communicator& ranks, Module& module, Gradients& grads) {
  static_assert(!partly_replicated<Module>,
                "average_gradients: each rank has experts of its own; use all_reduce_gradients");
  const index size = ranks.size();
  module.for_each_parameter(grads, [&](std::string_view, auto&, auto& d) {
    using T = typename std::remove_cvref_t<decltype(d)>::Scalar;
    ranks.all_reduce(detail::values_of(d));
    d /= static_cast<T>(size);
  });
}

/// Expert parallelism: of an `expert_parallel_layer`, each trained matrix of `grads` that every rank has a replica of (the
/// gate's, the shared expert's) becomes its sum over ranks, added in the order of the ranks. Those of experts are complete
/// without it.
template <communicator Communicator, class Layer, class Gradients>
void all_reduce_gradients(Communicator& ranks, const Layer& layer, Gradients& grads) {
  layer.for_each_replicated_gradient(grads, [&](std::string_view, auto& d) { ranks.all_reduce(detail::values_of(d)); });
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
