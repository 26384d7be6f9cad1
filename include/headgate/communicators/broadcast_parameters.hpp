// SPDX-License-Identifier: BSD-3-Clause
// Replicas that start equal.
#pragma once

#include <headgate/concepts/communicator.hpp>
#include <headgate/concepts/partly_replicated.hpp>
#include <headgate/config.hpp>
#include <headgate/core/weights.hpp>

#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Gives all ranks the module's parameters of rank `root`, all that a file would hold: for a module that only one rank has
/// loaded. Of an `expert_parallel_layer` the gate and the shared expert: a rank's experts stay its own.
template <communicator Communicator, class Module>
void broadcast_parameters(Communicator& ranks, Module& module, index root) {
  const auto broadcast = [&](std::string_view, auto& w) { ranks.broadcast(detail::values_of(w), root); };
  if constexpr (partly_replicated<Module, decltype(broadcast)>) {
    module.for_each_replicated_tensor(broadcast);
  } else {
    static_assert(
        requires { module.for_each_tensor(broadcast); },
        "broadcast_parameters: the module needs for_each_tensor(f), and for_each_replicated_tensor(f) if each "
        "rank has parts of its own");
    module.for_each_tensor(broadcast);
  }
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
