// SPDX-License-Identifier: BSD-3-Clause
// Whether the ranks of an expert-parallel layer have built the same layer.
#pragma once

#include <headgate/communicators/fail_together.hpp>
#include <headgate/concepts/communicator.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/field.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>  // size
#include <span>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {

/// FNV-1a, 64 bits.
class agreement_digest {
 public:
  void add(const void* bytes, std::size_t count) {
    const auto* const each = static_cast<const unsigned char*>(bytes);
    for (std::size_t i = 0; i < count; ++i) value_ = (value_ ^ each[i]) * 1099511628211u;
  }
  template <class... Numbers>
  agreement_digest& numbers(const Numbers&... each) {
    (add(&each, sizeof each), ...);
    return *this;
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 14695981039346656037u;
};

}  // namespace detail

/// Collective: refuses a layer whose sizes, placement, options, or parameters of the gate and the shared expert are not those of
/// rank 0, on the rank that has it; the others get a `communicator_error` that names it, and the group is broken.
///
/// For once, after the layers are built or loaded: two small messages. Passes do not check it: ranks that differ in sizes or
/// placement are told of counts that contradict each other, ranks that differ in parameters of the gate are told nothing.
/// What a gate holds beside its sizes and parameters (k, say) is not compared.
template <communicator Communicator, class Layer>
void check_agreement(Communicator& ranks, const Layer& layer) {
  constexpr const char* names[] = {"sizes are not those", "placement is not that", "options are not those",
                                   "gate and shared expert are not those"};
  const auto& placement = layer.placement();
  const auto& options = layer.options();
  const auto& limit = options.capacity;
  detail::agreement_digest of_placement, of_replicas;
  of_placement.numbers(placement.ranks());
  for (index e = 0; e < placement.experts(); ++e) of_placement.numbers(placement.rank_of(e));
  Layer::parameters::template walk_replicated<fields_of::storage>(
      [&](std::string_view name, const auto& w) {
        of_replicas.add(name.data(), name.size());
        of_replicas.numbers(w.rows(), w.cols());
        of_replicas.add(w.data(), static_cast<std::size_t>(w.size()) * sizeof(*w.data()));
      },
      layer.params());
  const std::uint64_t mine[] = {
      detail::agreement_digest().numbers(layer.model(), layer.outputs(), layer.experts()).value(), of_placement.value(),
      detail::agreement_digest()
          .numbers(limit.factor, limit.minimum, limit.drop, limit.fixed, limit.round, limit.of, options.weight_on)
          .value(),
      of_replicas.value()};
  std::uint64_t of_root[] = {mine[0], mine[1], mine[2], mine[3]};
  fail_together(ranks, [&] {
    ranks.broadcast(std::span<std::uint64_t>(of_root), 0);
    for (std::size_t i = 0; i < std::size(mine); ++i)
      if (mine[i] != of_root[i]) refuse("check_agreement: the layer's ", names[i], " of rank 0");
    ranks.barrier();  // in which the others hear of a refusal
  });
}

}  // namespace HEADGATE_ABI
}  // namespace headgate
