// SPDX-License-Identifier: BSD-3-Clause
// Clipping of the gradient's global norm (Pascanu et al. 2013, arXiv:1211.5063, Algorithm 1).
#pragma once

#include <headgate/concepts/communicator.hpp>
#include <headgate/concepts/partly_replicated.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/weights.hpp>

#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The 2-norm of all gradients that `walk` visits, taken as one vector; see `optimiser_memory` for walks.
///
/// Summed in double and in a fixed order: eight interleaved sums for each parameter, the parameters one after the other.
/// Squares of floats are exact in double, so the result for a float model is the same on every instruction set.
template <class Walk>
[[nodiscard]] double gradient_norm(Walk&& walk) {
  double squares = 0.0;
  walk([&squares](std::string_view, auto&, const auto& dw) {
    double sums[8] = {};  // one would wait for each addition before the next
    const auto* element = detail::values_of(dw).data();
    index i = 0;
    for (; i + 8 <= dw.size(); i += 8)
      for (index lane = 0; lane < 8; ++lane) {
        const double value = static_cast<double>(element[i + lane]);
        sums[lane] += value * value;
      }
    for (; i < dw.size(); ++i) {
      const double value = static_cast<double>(element[i]);
      sums[0] += value * value;
    }
    for (const double sum : sums) squares += sum;
  });
  return std::sqrt(squares);
}

namespace detail {

/// Scales all gradients, of which this is the norm, by max_norm / norm if that is below 1; returns the norm.
template <class Walk>
double clip_to(double max_norm, double norm, Walk&& walk) {
  if (norm > max_norm && std::isfinite(norm)) {
    const double factor = max_norm / norm;
    walk([factor](std::string_view, auto&, auto& dw) {
      using scalar = std::remove_reference_t<decltype(*dw.data())>;
      static_assert(!std::is_const_v<scalar>,
                    "headgate: clip_gradient_norm scales the gradients, they must not be const");
      for (index i = 0; i < dw.size(); ++i)
        dw.data()[i] = static_cast<scalar>(static_cast<double>(dw.data()[i]) * factor);
    });
  }
  return norm;
}

inline void check_max_norm(double max_norm) {
  if (!(max_norm > 0.0)) refuse("clip_gradient_norm: max_norm is ", max_norm, ", it must be above 0");
}

}  // namespace detail

/// Scales all gradients by max_norm / norm if their norm is above max_norm, and returns the norm before that.
///
/// A norm that is not finite (an infinite or NaN gradient, or an overflow) is returned and nothing is scaled: skip the
/// step then, since no factor repairs it. The visitor changes dw: the walk must pass gradients that are not const.
template <class Walk>
double clip_gradient_norm(double max_norm, Walk&& walk) {
  detail::check_max_norm(max_norm);
  return detail::clip_to(max_norm, gradient_norm(walk), walk);
}

/// The same for one module, all of which this rank has. An `expert_parallel_layer` is refused when it is compiled; A MODEL THAT
/// CONTAINS ONE IS NOT FOUND OUT: each rank would clip by a norm of its own, and replicas would part. Give such a model the
/// walks `for_each_own_gradient`, `for_each_replicated_gradient` and `for_each_replicated_tensor`, which go into the layer's, and
/// pass the communicator.
template <class Module, class Gradients>
double clip_gradient_norm(double max_norm, Module& module, Gradients& gradients) {
  static_assert(
      !partly_replicated<Module>,
      "clip_gradient_norm: each rank has experts of its own, and would find another norm; pass the communicator");
  return clip_gradient_norm(max_norm, [&](auto&& visit) { module.for_each_parameter(gradients, visit); });
}

/// The same for any module on ranks, collective, after `all_reduce_gradients` or `average_gradients`: the norm is that of one
/// replica of what every rank has and, of an `expert_parallel_layer` or a model with its walks, of all ranks' experts. It is
/// the same on all ranks, so replicas stay equal: of a module that all ranks have whole, the norm is compared with rank 0's, and
/// refused where it differs. So is found out whether the gradients were not summed over ranks, and whether a model contains
/// an `expert_parallel_layer` without having its walks (unless the ranks' experts have equal gradients). The others then hear of
/// it in their next operation.
template <communicator Communicator, class Module, class Gradients>
double clip_gradient_norm(Communicator& ranks, double max_norm, Module& module, Gradients& gradients) {
  static_assert(
      detail::walks_parameters<Module, Gradients> && detail::walks_shared_gradients<Module, Gradients> &&
          detail::walks_own_gradients<Module, Gradients> == detail::walks_replicated_gradients<Module, Gradients>,
      "clip_gradient_norm: the module needs for_each_parameter(grads, f), and for_each_own_gradient(grads, f) "
      "and for_each_replicated_gradient(grads, f) if each rank has parts of its own");
  detail::check_max_norm(max_norm);
  const auto norm_of = [](const auto& walk) {
    return gradient_norm([&](auto&& visit) { walk([&](std::string_view name, auto& dw) { visit(name, dw, dw); }); });
  };
  double norm = norm_of([&](auto&& visit) { detail::for_each_shared_gradient(module, gradients, visit); });
  if constexpr (detail::walks_replicated_gradients<Module, Gradients>) {
    const double own = norm_of([&](auto&& visit) { module.for_each_own_gradient(gradients, visit); });
    double squares = own * own;
    ranks.all_reduce(std::span(&squares, 1));
    norm = std::sqrt(squares + norm * norm);
  } else {
    double root = norm;
    ranks.broadcast(std::span(&root, 1), 0);
    if (norm != root && !(std::isnan(norm) && std::isnan(root))) {
      const std::string why = sentence(
          "clip_gradient_norm: the norm is ", norm, ", on rank 0 it is ", root,
          "; gradients must be those of all ranks (all_reduce_gradients), and a model with experts of a rank's "
          "own must have their walks (docs/many-ranks.md)");
      ranks.fail(why);
      refuse(why);
    }
  }
  return detail::clip_to(max_norm, norm, [&](auto&& visit) { module.for_each_parameter(gradients, visit); });
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
