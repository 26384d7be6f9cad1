// SPDX-License-Identifier: BSD-3-Clause
// What a model family says of its MoE block, and the layers made of that.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/experts/shared.hpp>
#include <headgate/layer.hpp>
#include <headgate/models/model_config.hpp>
#include <headgate/models/tensor_part.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// A gate, experts and options that belong together: what a layer is made of, without its parameters.
template <class Gate, class Expert, class Shared = no_shared_expert>
struct moe_policies {
  Gate gate{};
  Expert expert{};
  Shared shared{};
  layer_options options{};
  using layer_type = layer<Gate, Expert, Shared>;
};

/// A published model family (docs/models.md): a struct of static members and nothing else.
///
///   name              "Mixtral"
///   shape             its sizes and options, an aggregate
///   policies<T>(s)    the gate, the experts and the options of a block of that shape, as `moe_policies`
///
/// A family that can be loaded from a checkpoint (`loadable_family`) also has
///
///   model_types       what config.json may call it
///   read(config, layer)   the shape, from config.json
///   prefixes(layer)   what the names of the block's tensors begin with; the first one that the checkpoint has counts
///   tensors(s, p, f)  calls f(matrix of the parameters p, tensor_part) for every matrix
template <class F>
concept moe_family = requires(const typename F::shape& s) {
  { F::name } -> std::convertible_to<std::string_view>;
  F::template policies<float>(s).gate;
};

/// The layer of a family.
template <moe_family Family, class T = float>
using family_layer =
    typename decltype(Family::template policies<T>(std::declval<const typename Family::shape&>()))::layer_type;

namespace detail {
struct matrix_visitor {
  template <class Matrix>
  void operator()(Matrix&, const tensor_part&) const {}
};
}  // namespace detail

template <class F>
concept loadable_family = moe_family<F> && requires(const typename F::shape& s, const model_config& config, index layer,
                                                    typename family_layer<F>::parameters& p) {
  F::model_types.begin();
  { F::read(config, layer) } -> std::same_as<typename F::shape>;
  F::prefixes(layer).begin();
  F::tensors(s, p, detail::matrix_visitor{});
};

/// A fresh layer of a family, its parameters drawn from the seed.
///
///   auto block = hg::make_moe_layer<hg::mixtral>({.model = 512, .hidden = 1024, .experts = 8, .k = 2}, 42);
template <moe_family Family, class T = float>
[[nodiscard]] family_layer<Family, T> make_moe_layer(const typename Family::shape& shape, std::uint64_t seed) {
  auto p = Family::template policies<T>(shape);
  return {std::move(p.gate), std::move(p.expert), std::move(p.shared), seed, p.options};
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
