// SPDX-License-Identifier: BSD-3-Clause
// Whether the ranks of an expert-parallel layer have built the same layer.
#pragma once

#include <headgate/communicators/fail_together.hpp>
#include <headgate/concepts/communicator.hpp>
#include <headgate/config.hpp>
#include <headgate/core/digest.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/field.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>  // size
#include <span>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Collective: refuses a layer whose sizes, placement, options, or parameters of the gate and the shared expert are not those of
/// rank 0, on the rank that has it, and says which and both numbers (an enumerator's is its place in its list); the others
/// get a `communicator_error` that names it, and the group is broken.
///
/// For once, after the layers are built or loaded: one small message. Passes do not check it: ranks that differ in sizes or
/// placement are told of counts that contradict each other, ranks that differ in parameters of the gate are told nothing.
/// What a gate holds beside its sizes and parameters (k, say) is not compared.
template <communicator Communicator, class Layer>
void check_agreement(Communicator& ranks, const Layer& layer) {
  static_assert(
      requires { layer.placement(); },
      "check_agreement: this is no expert_parallel_layer; replicas are made equal by broadcast_parameters");
  constexpr const char* names[] = {
      "model",         "outputs",        "experts",        "placement's ranks", "capacity.minimum",
      "capacity.drop", "capacity.fixed", "capacity.round", "capacity.of",       "weight_on"};
  const auto& placement = layer.placement();
  const auto& options = layer.options();
  const auto& limit = options.capacity;
  const index numbers[std::size(names)] = {layer.model(),
                                           layer.outputs(),
                                           layer.experts(),
                                           placement.ranks(),
                                           limit.minimum,
                                           static_cast<index>(limit.drop),
                                           limit.fixed,
                                           static_cast<index>(limit.round),
                                           static_cast<index>(limit.of),
                                           static_cast<index>(options.weight_on)};
  digest map, replicas;
  for (index e = 0; e < placement.experts(); ++e) map.numbers(placement.rank_of(e));
  Layer::parameters::template walk_replicated<fields_of::storage>(
      [&](std::string_view name, const auto& w) {
        replicas.add(name.data(), name.size());
        replicas.numbers(w.rows(), w.cols());
        replicas.add(w.data(), static_cast<std::size_t>(w.size()) * sizeof(*w.data()));
      },
      layer.params());
  // One message: the numbers, then the factor's bits and the two digests.
  constexpr std::size_t count = std::size(names);
  std::uint64_t root[count + 3];
  for (std::size_t i = 0; i < count; ++i) root[i] = static_cast<std::uint64_t>(numbers[i]);
  root[count] = std::bit_cast<std::uint64_t>(limit.factor);
  root[count + 1] = map.value();
  root[count + 2] = replicas.value();
  fail_together(ranks, [&] {
    ranks.broadcast(std::span<std::uint64_t>(root), 0);
    const auto compare = [](const char* name, auto here, auto there) {
      if (here != there) refuse("check_agreement: ", name, " is ", here, ", on rank 0 it is ", there);
    };
    for (std::size_t i = 0; i < count; ++i) compare(names[i], numbers[i], static_cast<index>(root[i]));
    compare("capacity.factor", limit.factor, std::bit_cast<double>(root[count]));
    if (map.value() != root[count + 1]) refuse("check_agreement: experts are placed on other ranks than rank 0 says");
    if (replicas.value() != root[count + 2])
      refuse("check_agreement: the parameters of the gate and the shared expert are not those of rank 0");
    ranks.barrier();  // in which the others hear of a refusal
  });
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
