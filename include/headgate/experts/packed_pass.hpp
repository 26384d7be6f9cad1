// SPDX-License-Identifier: BSD-3-Clause
// One batch on its way through packed experts: which rows meet which panels.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/core/view.hpp>
#include <headgate/experts/packed_experts.hpp>
#include <headgate/kernels/blocking.hpp>
#include <headgate/kernels/combined_product.hpp>
#include <headgate/kernels/gemm.hpp>
#include <headgate/routing/groups.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The products of one batch with the experts that have rows in it, and the hidden rows between them. Reused from batch to
/// batch; allocates only while batches grow.
template <class Expert, class Storage>
class packed_pass {
 public:
  using T = typename Expert::scalar;
  using weights = packed_experts<Expert, Storage>;

  /// Lists the products: input projections for `work`, output projections appended to `terms`. Slot s reads row rows[s] of x
  /// and adds to that row of y with weight slot_weights[s]; a null list of weights means that it is written instead. With
  /// slot_inputs (slots x model) slot s reads row s of those.
  void prepare(const weights& experts, const row_groups& g, view<const T> x, const T* slot_weights,
               array<kernels::combined_term<T, Storage>>& terms, view<const T> slot_inputs = {}) {
    experts_ = &experts;
    inputs_.clear(), first_slot_.clear();
    inputs_.reserve(g.count), first_slot_.reserve(g.count), terms.reserve(terms.size() + g.count);
    if constexpr (weights::has_input_projection)
      hidden_rows_ = kernels::resize_spread(hidden_, g.slots(), experts.hidden());
    const bool reads_slots = slot_inputs.data != nullptr;
    const row_groups sources{g.count, g.offsets, reads_slots ? nullptr : g.rows};
    for (index e = 0; e < g.count; ++e) {
      if (g.size(e) == 0) continue;
      const index first = g.offsets[e];
      const view<const T> source = sources.source(reads_slots ? slot_inputs : x, e);
      if constexpr (requires { experts.expert().returns_input(e); })
        if (e >= experts.count()) {
          terms.push_back(without_parameters(experts, e, source, sources, g, slot_weights));
          continue;
        }
      auto output = experts.output_projection(e);
      output.rows = g.size(e), output.a_depth_stride = 1;
      if constexpr (weights::has_input_projection) {
        auto input = experts.input_projection(e);
        input.rows = g.size(e), input.a_depth_stride = 1;
        input.a = source.data, input.a_rows = sources.rows_of(e), input.a_row_stride = source.stride;
        inputs_.push_back({input});
        first_slot_.push_back(first);
        output.a = hidden_rows_.row(first), output.a_row_stride = hidden_rows_.stride;
      } else {
        output.a = source.data, output.a_rows = sources.rows_of(e), output.a_row_stride = source.stride;
      }
      terms.push_back({output, g.rows_of(e), slot_weights ? slot_weights + first : nullptr});
    }
  }

  /// The tasks that fill the hidden rows.
  [[nodiscard]] auto work(index workers) const {
    const auto finish = [this](index group, index row, index panel, const auto& low, const auto& high)
        __attribute__((always_inline)) {
      using batch = std::remove_cvref_t<decltype(low)>;
      constexpr index lanes = static_cast<index>(batch::size);
      T* const h = hidden_rows_.row(first_slot_[group] + row);
      if constexpr (requires { experts_->expert().activate(low, high); }) {
        experts_->expert().activate(low, high).store_unaligned(h + panel * lanes);
      } else if constexpr (requires { experts_->expert().activate(low); }) {
        experts_->expert().activate(low).store_unaligned(h + 2 * panel * lanes);
        experts_->expert().activate(high).store_unaligned(h + (2 * panel + 1) * lanes);
      }
    };
    return kernels::grouped_work<xsimd::default_arch, T, 1, Storage, decltype(finish)>(
        std::span<const kernels::product_group<T, 1, Storage>>(inputs_), workers, finish);
  }

  /// Bytes of all this for so many slots of so many experts.
  [[nodiscard]] static index bytes(const weights& experts, index slots, index groups) {
    if constexpr (weights::has_input_projection)
      return slots * kernels::spread_stride<T>(experts.hidden()) * static_cast<index>(sizeof(T)) +
             groups * static_cast<index>(sizeof(kernels::product_group<T, 1, Storage>) + sizeof(index));
    else
      return 0;
  }

 private:
  /// The share of an expert that returns its input, or zero: a product of no depth, so that a sum of -0 becomes 0 as it does
  /// in the layer.
  static kernels::combined_term<T, Storage> without_parameters(const weights& experts, index e, view<const T> source,
                                                               const row_groups& sources, const row_groups& g,
                                                               const T* slot_weights) {
    auto rows = experts.output_projection(0);
    rows.depth = 0, rows.bias = nullptr;
    rows.rows = g.size(e), rows.a_depth_stride = 1;
    rows.a = source.data, rows.a_rows = sources.rows_of(e), rows.a_row_stride = source.stride;
    return {rows, g.rows_of(e), slot_weights + g.offsets[e], experts.expert().returns_input(e - experts.count())};
  }

  const weights* experts_ = nullptr;
  scratch<T> hidden_;  // (slots x hidden)
  view<T> hidden_rows_;
  array<kernels::product_group<T, 1, Storage>> inputs_;
  array<index> first_slot_;  // of each input
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
