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
  template <class W, class D>
  void operator()(std::string_view, W&, D&) const {}
};

}  // namespace detail

/// True for a module of which each rank has parts of its own beside the replicas: one that walks the replicas alone, as
/// `expert_parallel_layer` does. A model that contains one is such a module only if it has that walk itself.
template <class Module, class F = detail::visits_any>
concept partly_replicated = requires(std::remove_const_t<Module>& module, const F& f) {
  module.for_each_replicated_tensor(f);
};

namespace detail {

// What functions over ranks ask of a module, so that they can say in one sentence what is missing.

template <class Module, class Gradients>
concept walks_parameters = requires(Module& module, Gradients& grads, const visits_any& f) {
  module.for_each_parameter(grads, f);
};
template <class Module, class Gradients>
concept walks_own_gradients = requires(Module& module, Gradients& grads, const visits_any& f) {
  module.for_each_own_gradient(grads, f);
};
template <class Module, class Gradients>
concept walks_replicated_gradients = requires(Module& module, Gradients& grads, const visits_any& f) {
  module.for_each_replicated_gradient(grads, f);
};
/// Either the same on all ranks, or able to tell what is.
template <class Module, class Gradients>
concept walks_shared_gradients = walks_replicated_gradients<Module, Gradients> ||
    (!partly_replicated<Module> && walks_parameters<Module, Gradients>);

/// f(name, dw) for the trained matrices of which every rank has a replica: of a module that is the same on all ranks, all.
template <class Module, class Gradients, class F>
void for_each_shared_gradient(Module& module, Gradients& grads, const F& f) {
  if constexpr (walks_replicated_gradients<Module, Gradients>)
    module.for_each_replicated_gradient(grads, f);
  else
    module.for_each_parameter(grads, [&](std::string_view name, auto&, auto& dw) { f(name, dw); });
}

}  // namespace detail

}  // namespace HEADGATE_ABI
}  // namespace headgate
