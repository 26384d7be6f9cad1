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
    weight_on = where;
    const view<T> rows = kernels::resize_spread(expert_rows, plan.slots(), y.cols);
    const bool on_input = where == headgate::weight_on::input;
    if (on_input) {
      const view<T> inputs = kernels::resize_spread(expert_inputs, plan.slots(), x.cols());
      weigh_inputs<T>(pass.executor, plan, view_of(x), slot_weights, inputs);
      forward_experts(expert, p, weighted_groups(plan), in<T>(map_of(inputs)), rows, expert_cache, pass);
    } else {
      forward_experts(expert, p, plan.groups(), x, rows, expert_cache, pass);
    }
    combine<T>(pass.executor, plan, rows, on_input ? nullptr : slot_weights, y, accumulate);
  }

  /// Adds to dx, to dp and to the gradients of the assignments' weights. dslots (slots x model) and dexpert_rows (slots x
  /// outputs) are working memory.
  template <class Executor>
  void backward_into(view<T> dx, std::span<params> dp, T* dweights, const Expert& expert, std::span<const params> p,
                     const dispatch_plan& plan, const T* slot_weights, in<T> x, in<T> dy, scratch<T>& dexpert_rows,
                     scratch<T>& dslots, const pass<T, Executor>& pass) {
    const view<T> dy_slots = kernels::resize_spread(dexpert_rows, plan.slots(), dy.cols());
    const view<T> dx_slots = kernels::resize_spread(dslots, plan.slots(), x.cols());
    if (weight_on == headgate::weight_on::input) {
      spread_rows<T>(pass.executor, plan, view_of(dy), dy_slots);
      backward_experts(expert, p, weighted_groups(plan), in<T>(map_of(kernels::spread_block(expert_inputs, x.cols()))),
                       dy_slots, expert_cache, dx_slots, dp, pass);
      weigh_inputs_backward<T>(pass.executor, plan, view_of(x), slot_weights, dx_slots, dx, dweights);
    } else {
      combine_backward<T>(pass.executor, plan, kernels::spread_block(expert_rows, dy.cols()), slot_weights, view_of(dy),
                          dy_slots, dweights);
      backward_experts(expert, p, plan.groups(), x, dy_slots, expert_cache, dx_slots, dp, pass);
      combine<T>(pass.executor, plan, dx_slots, nullptr, dx, true);
    }
  }

 private:
  /// Slot s reads row s of the weighted inputs.
  static row_groups weighted_groups(const dispatch_plan& plan) {
    return {plan.groups().count, plan.groups().offsets, nullptr};
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
