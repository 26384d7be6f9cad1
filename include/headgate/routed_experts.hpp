// SPDX-License-Identifier: BSD-3-Clause
// The second half of a layer's pass: the routed experts and the combination of their rows.
#pragma once

#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/experts/expert_bank.hpp>
#include <headgate/kernels/blocking.hpp>
#include <headgate/parallel/pass.hpp>
#include <headgate/routing/combine.hpp>
#include <headgate/routing/groups.hpp>
#include <headgate/routing/plan.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// What the routed experts of a forward leave: memory reused by the next one, and what their backward reads.
template <class Expert>
struct routed_experts {
  using T = typename Expert::scalar;
  using params = typename Expert::params;

  expert_bank_cache<Expert> expert_cache;
  scratch<T> expert_rows;    // (slots x outputs), what each expert computed
  scratch<T> expert_inputs;  // (slots x model), weighted rows of x; unused where the weight is on the output
  headgate::weight_on weight_on = headgate::weight_on::output;  // of the last pass

  /// y_t = [y_t +] sum over t's slots, by ascending expert, of weight * expert(x_t), or of expert(weight * x_t).
  template <class Executor>
  void forward_into(view<T> y, bool accumulate, const Expert& expert, std::span<const params> p,
                    const dispatch_plan& plan, const T* slot_weights, headgate::weight_on where, in<T> x,
                    const pass<T, Executor>& pass) {
    const view<T> rows = kernels::resize_spread(expert_rows, plan.slots(), y.cols);
    forward_slots(rows, expert, p, plan.groups(), slot_weights, where, x, pass);
    combine<T>(pass.executor, plan, rows, combine_weights(slot_weights), y, accumulate);
  }

  /// rows_s = expert(x_row(s)), or expert(weight_s * x_row(s)), for each slot s of the groups. rows (slots x outputs).
  template <class Executor>
  void forward_slots(view<T> rows, const Expert& expert, std::span<const params> p, const row_groups& groups,
                     const T* slot_weights, headgate::weight_on where, in<T> x, const pass<T, Executor>& pass) {
    weight_on = where;
    if (where == headgate::weight_on::input) {
      const view<T> inputs = kernels::resize_spread(expert_inputs, groups.slots(), x.cols());
      weigh_rows<T>(pass.executor, groups, view_of(x), slot_weights, inputs);
      forward_experts(expert, p, weighted(groups), in<T>(map_of(inputs)), rows, expert_cache, pass);
    } else {
      forward_experts(expert, p, groups, x, rows, expert_cache, pass);
    }
  }

  /// What the rows of slots are combined with: nothing where the experts' inputs were weighted.
  [[nodiscard]] const T* combine_weights(const T* slot_weights) const {
    return weight_on == headgate::weight_on::input ? nullptr : slot_weights;
  }

  /// Adds to dx, to dp and to the gradients of the assignments' weights. dslots (slots x model) and dexpert_rows (slots x
  /// outputs) are working memory.
  template <class Executor>
  void backward_into(view<T> dx, std::span<params> dp, T* dweights, const Expert& expert, std::span<const params> p,
                     const dispatch_plan& plan, const T* slot_weights, in<T> x, in<T> dy, scratch<T>& dexpert_rows,
                     scratch<T>& dslots, const pass<T, Executor>& pass) {
    const view<T> dy_slots = kernels::resize_spread(dexpert_rows, plan.slots(), dy.cols());
    const view<T> dx_slots = kernels::resize_spread(dslots, plan.slots(), x.cols());
    if (weight_on == headgate::weight_on::input)
      spread_rows<T>(pass.executor, plan.groups(), view_of(dy), dy_slots);
    else
      combine_backward<T>(pass.executor, plan, kernels::spread_block(expert_rows, dy.cols()), slot_weights, view_of(dy),
                          dy_slots, dweights);
    backward_slots(dx_slots, dp, expert, p, plan.groups(), x, dy_slots, pass);
    collect_dx(dx, dweights, plan, slot_weights, view_of(x), dx_slots, pass);
  }

  /// The backward of `forward_slots`: overwrites dslots (slots x model), the gradient of what each slot's expert got, and
  /// adds to dp.
  template <class Executor>
  void backward_slots(view<T> dslots, std::span<params> dp, const Expert& expert, std::span<const params> p,
                      const row_groups& groups, in<T> x, view<T> dy_slots, const pass<T, Executor>& pass) {
    if (weight_on == headgate::weight_on::input)
      backward_experts(expert, p, weighted(groups), in<T>(map_of(kernels::spread_block(expert_inputs, x.cols()))),
                       dy_slots, expert_cache, dslots, dp, pass);
    else
      backward_experts(expert, p, groups, x, dy_slots, expert_cache, dslots, dp, pass);
  }

  /// Adds the gradients of what the experts got to dx and, where that was weighted, to those of the weights.
  template <class Executor>
  void collect_dx(view<T> dx, T* dweights, const dispatch_plan& plan, const T* slot_weights, view<const T> x,
                  view<const T> dslots, const pass<T, Executor>& pass) const {
    if (weight_on == headgate::weight_on::input)
      weigh_inputs_backward<T>(pass.executor, plan, x, slot_weights, dslots, dx, dweights);
    else
      combine<T>(pass.executor, plan, dslots, nullptr, dx, true);
  }

 private:
  /// Slot s reads row s of the weighted inputs.
  static row_groups weighted(const row_groups& groups) { return {groups.count, groups.offsets, nullptr}; }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
