// SPDX-License-Identifier: BSD-3-Clause
// Modules that are not the same on all ranks.
#pragma once

#include <headgate/config.hpp>

#include <string_view>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {
namespace detail {

struct visits_any {
  template <class W>
  void operator()(std::string_view, W&) const {}
};

}  // namespace detail

/// True for a module of which each rank has parts of its own beside the replicas: one that walks the replicas alone, as
/// `expert_parallel_layer` does. A model that contains one is such a module only if it has that walk itself.
template <class Module, class F = detail::visits_any>
concept partly_replicated = requires(std::remove_const_t<Module>& module, const F& f) {
  module.for_each_replicated_tensor(f);
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
