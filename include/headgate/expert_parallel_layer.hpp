// SPDX-License-Identifier: BSD-3-Clause
// A layer whose experts are spread over ranks (expert parallelism: GShard, Lepikhin et al. 2020, arXiv:2006.16668, 3.2).
#pragma once

#include <headgate/checks.hpp>
#include <headgate/communicators/fail_together.hpp>
#include <headgate/concepts/communicator.hpp>
#include <headgate/concepts/executor.hpp>
#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/expert_exchange.hpp>
#include <headgate/expert_parallel_state.hpp>
#include <headgate/kernels/blocking.hpp>
#include <headgate/layer_core.hpp>
#include <headgate/layer_state.hpp>
#include <headgate/parallel/sequential.hpp>
#include <headgate/routing/combine.hpp>
#include <headgate/routing/expert_placement.hpp>

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// `layer`, each of whose experts lies on the rank that the placement says. Each rank passes tokens of its own, and gets the
/// rows that a `layer` on one rank gives it for the same routing, to the last bit, for any number of ranks and any placement
/// (promise 3). Routing is that of the rank's own batch: a gate that decides by token routes as on one rank, one that looks at
/// the batch (`expert_choice_gate`, in training `sinkhorn`) as for a batch of this rank's tokens alone.
///
///   y_t = [shared(x_t) +] sum over the experts e that the gate picks for token t of weight_te * expert_e(x_t)
///
/// A rank routes its tokens, sends each once to every rank that has an expert of its, runs its own experts on all that came,
/// as one grouped pass, and combines what comes back by ascending expert (`expert_exchange`). Shared experts run on the
/// token's rank. Nothing overlaps: an operation of a communicator returns when it is done.
///
/// `forward` and `backward` are collective: every rank calls them, with its end of one group, also where it has no token. The
/// communicator comes with the call, as the executor does: a layer holds no connection, so it can be copied, and shared by
/// threads that bring a communicator and a workspace each. All ranks' layers must have the same gate, experts and
/// options. A capacity limits what each rank's own batch sends to an expert, and noise and dropout are those of the rank's
/// tape: give each rank a stream of its own (`tape.random = {seed + rank}`).
///
/// A rank that refuses tells the others, which get a `communicator_error` that names it, and the group is broken; `grads` may
/// hold a part of the step: do not go on with them. What is refused before the experts' rows are on their way back (x, the
/// shape of y or dx, a logit, a loss, by an expert) ends the pass of all ranks, and y and dx are unchanged on all. What
/// comes later, a shared expert or a gate's `backward` that throws, the others hear of in their next operation: they may
/// have returned, with the right y or dx. Over MPI without `agreement` only what a forward refuses before the rows travel is
/// sure to end the pass of all.
///
/// Allocates nothing after a first pass of a size, unless more rows or slots come than ever before.
template <class Gate, class Expert, class Shared = no_shared_expert>
class expert_parallel_layer
    : public layer_core<Gate, Expert, Shared, expert_parallel_parameters<Gate, Expert, Shared>> {
  using core = layer_core<Gate, Expert, Shared, expert_parallel_parameters<Gate, Expert, Shared>>;
  static constexpr bool has_shared = core::has_shared;

 public:
  using T = typename core::T;
  using parameters = expert_parallel_parameters<Gate, Expert, Shared>;
  using gradients = parameters;
  using workspace = expert_parallel_workspace<Gate, Expert, Shared>;
  using tape = tape_of<workspace>;

  /// The part that `rank` has of the layer that this seed gives: draws the parameters of all experts and keeps its own.
  expert_parallel_layer(Gate gate, Expert expert, std::uint64_t seed, expert_placement placement, index rank,
                        layer_options options = {}) requires(!has_shared)
      : expert_parallel_layer(std::move(gate), std::move(expert), Shared{}, seed, std::move(placement), rank, options) {
  }

  expert_parallel_layer(Gate gate, Expert expert, Shared shared, std::uint64_t seed, expert_placement placement,
                        index rank, layer_options options = {})
      : core(std::move(gate), std::move(expert), std::move(shared), options),
        placement_(std::move(placement)),
        rank_(rank) {
    take_ids();
    index next = 0;
    this->draw(seed, [&](index e) { return placement_.rank_of(e) == rank_ ? &parameters_.experts[next++] : nullptr; });
    this->remember_sizes();
  }

  /// The rank's part of a whole layer's parameters that are ready. Experts of borrowed weights (a mapped checkpoint's) cost a
  /// rank no memory unless they are its own.
  template <std::same_as<layer_parameters<Gate, Expert, Shared>> Ready>
  expert_parallel_layer(Gate gate, Expert expert, Ready ready, expert_placement placement, index rank,
                        layer_options options = {}) requires(!has_shared)
      : expert_parallel_layer(std::move(gate), std::move(expert), Shared{}, std::move(ready), std::move(placement),
                              rank, options) {}

  template <std::same_as<layer_parameters<Gate, Expert, Shared>> Ready>
  expert_parallel_layer(Gate gate, Expert expert, Shared shared, Ready ready, expert_placement placement, index rank,
                        layer_options options = {})
      : core(std::move(gate), std::move(expert), std::move(shared), options),
        placement_(std::move(placement)),
        rank_(rank) {
    check_ready(gate_, expert_, shared_, ready);
    take_ids();
    parameters_.gate = std::move(ready.gate);
    for (index i = 0; i < parameters_.ids.size(); ++i)
      parameters_.experts[i] = std::move(ready.experts[parameters_.ids[i]]);
    parameters_.shared = std::move(ready.shared);
    this->remember_sizes();
  }

  [[nodiscard]] const expert_placement& placement() const { return placement_; }
  [[nodiscard]] index rank() const { return rank_; }

  /// f(name, dw) for the trained matrices of this rank's experts.
  template <class F>
  void for_each_own_gradient(gradients& grads, F&& f) const {
    parameters::template walk_own<fields_of::training>(f, grads);
  }
  /// f(name, dw) for the trained matrices of which every rank has a replica, and f(name, w) for all of those.
  template <class F>
  void for_each_replicated_gradient(gradients& grads, F&& f) const {
    parameters::template walk_replicated<fields_of::training>(f, grads);
  }
  template <class F>
  void for_each_replicated_tensor(F&& f) {
    parameters::template walk_replicated<fields_of::storage>(f, parameters_);
  }

  /// Inference, collective: no noise, nothing kept for a backward. Refuses as `layer` does, before it writes to y.
  template <executor Executor, communicator Communicator, class X, class Y>
  void forward(const Executor& executor, Communicator& ranks, const X& x, Y&& y, workspace& memory) const {
    run(executor, ranks, row_major<T>(x), y, memory, false, random_stream{});
  }
  template <communicator Communicator, class X, class Y>
  void forward(Communicator& ranks, const X& x, Y&& y, workspace& memory) const {
    forward(run_sequentially, ranks, x, y, memory);
  }

  /// Training, collective: the same, with noise from the tape, and the tape ready for `backward`.
  template <executor Executor, communicator Communicator, class X, class Y>
  void forward(const Executor& executor, Communicator& ranks, const X& x, Y&& y, tape& memory) const {
    memory.begin();
    run(executor, ranks, row_major<T>(x), y, static_cast<workspace&>(memory), memory.training, memory.random);
    memory.finish(x.rows(), this->sizes());
  }
  template <communicator Communicator, class X, class Y>
  void forward(Communicator& ranks, const X& x, Y&& y, tape& memory) const {
    forward(run_sequentially, ranks, x, y, memory);
  }

  /// Collective. As `layer::backward`, where L is the sum of what all ranks call their loss: `grads` gets the whole gradient of
  /// this rank's experts, summed in the order of the batches one behind the other, and this rank's part of that of the
  /// gate and the shared expert (`all_reduce_gradients` sums the parts). Routing losses are those of the rank's own record.
  template <executor Executor, communicator Communicator, class X, class DY, class DX, class... Losses>
  T backward(const Executor& executor, Communicator& ranks, const X& x, const DY& dy, tape& memory, DX&& dx,
             gradients& grads, const Losses&... losses) const {
    T loss{0};
    fail_together(ranks, [&] {
      const char* const owner = "expert_parallel_layer::backward";
      const in<T> x_rows = row_major<T>(x);
      const in<T> dy_rows = row_major<T>(dy);
      check_group(ranks, owner);
      this->check_backward(x_rows, dy_rows, memory, grads, owner);
      check_apart<T>(row_major<T>(dx), x_rows, owner, "dx and x");
      check_apart<T>(row_major<T>(dx), dy_rows, owner, "dx and dy");
      check_target<T>(dx, x.rows(), this->model(), owner, "dx");
      loss = this->take_losses(memory, losses...);

      const pass<T, Executor> pass{executor, memory.kernel_memory, memory.training, memory.used};
      const view<T> dslots = kernels::resize_spread(memory.dslots, memory.plan.slots(), this->model());
      backward_elsewhere(ranks, dy_rows, memory, dslots, grads, pass);
      out<T> dx_rows = prepare<T>(dx, x.rows(), this->model(), owner, "dx");
      this->backward_shared(x_rows, dy_rows, memory, dx_rows, grads, pass);
      memory.collect_dx(view_of(dx_rows), memory.gradient.weights.data(), memory.plan, memory.slot_weights.data(),
                        view_of(x_rows), dslots, pass);
      this->backward_gate(x_rows, memory, dx_rows, grads, pass);
    });
    return loss;
  }
  template <communicator Communicator, class X, class DY, class DX, class... Losses>
  T backward(Communicator& ranks, const X& x, const DY& dy, tape& memory, DX&& dx, gradients& grads,
             const Losses&... losses) const {
    return backward(run_sequentially, ranks, x, dy, memory, dx, grads, losses...);
  }

 private:
  using core::expert_;
  using core::gate_;
  using core::options_;
  using core::parameters_;
  using core::shared_;

  void take_ids() {
    const index parameterised = parameterised_of(expert_, this->experts());
    if (placement_.experts() != parameterised)
      refuse("expert_parallel_layer: the placement is of ", placement_.experts(), " experts, the layer has ",
             parameterised, " with parameters");
    if (rank_ < 0 || rank_ >= placement_.ranks())
      refuse("expert_parallel_layer: rank is ", rank_, ", the placement is over ", placement_.ranks(), " ranks");
    for (const index e : placement_.experts_of(rank_)) parameters_.ids.push_back(e);
    parameters_.experts.resize(parameters_.ids.size());
  }

  template <class Communicator>
  void check_group(Communicator& ranks, const char* owner) const {
    if (ranks.size() != placement_.ranks() || ranks.rank() != rank_)
      refuse(owner, ": the communicator is rank ", ranks.rank(), " of ", ranks.size(), ", the layer was built as rank ",
             rank_, " of ", placement_.ranks());
  }

  template <class Executor, class Communicator, class Y>
  void run(const Executor& executor, Communicator& ranks, in<T> x, Y& y, workspace& memory, bool training,
           random_stream random) const {
    fail_together(ranks, [&] {
      const char* const owner = "expert_parallel_layer::forward";
      check_group(ranks, owner);
      const pass<T, Executor> pass{executor, memory.kernel_memory, training, random};
      this->route(x, memory, pass, owner);
      check_apart<T>(row_major<T>(y), x, owner, "x and y");
      check_target<T>(y, x.rows(), this->outputs(), owner, "y");

      const view<T> rows = kernels::resize_spread(memory.expert_rows, memory.plan.slots(), this->outputs());
      forward_elsewhere(ranks, x, memory, rows, pass);
      out<T> y_rows = prepare<T>(y, x.rows(), this->outputs(), owner, "y");
      this->forward_shared(x, view_of(y_rows), memory, pass);
      combine<T>(executor, memory.plan, rows, memory.combine_weights(memory.slot_weights.data()), view_of(y_rows),
                 has_shared);
    });
  }

  /// rows (slots x outputs) = what the experts compute, wherever they are.
  template <class Communicator, class Pass>
  void forward_elsewhere(Communicator& ranks, in<T> x, workspace& memory, view<T> rows, const Pass& pass) const {
    expert_exchange<T>& exchange = memory.exchange;
    exchange.plan(ranks, placement_, memory.plan);
    const view<const T> received = exchange.send_rows(pass.executor, ranks, view_of(x), memory.received_x);
    const T* const weights = options_.weight_on == weight_on::input
                                 ? exchange.send_slot_values(ranks, memory.slot_weights.data(), memory.received_weights)
                                 : nullptr;
    const view<T> here = kernels::resize_spread(memory.rows_here, exchange.groups().slots(), this->outputs());
    memory.forward_slots(here, expert_, this->experts_params(), exchange.groups(), weights, options_.weight_on,
                         in<T>(map_of(received)), pass);
    exchange.return_rows(pass.executor, ranks, here, rows);
  }

  /// dslots (slots x model) = the gradient of what the experts got, wherever they are; their own gradients, and those of the
  /// weights on their outputs.
  template <class Communicator, class Pass>
  void backward_elsewhere(Communicator& ranks, in<T> dy, tape& memory, view<T> dslots, gradients& grads,
                          const Pass& pass) const {
    expert_exchange<T>& exchange = memory.exchange;
    const row_groups groups = exchange.groups();
    const view<const T> received = exchange.send_rows(pass.executor, ranks, view_of(dy), memory.received_dy);
    const view<T> dy_here = kernels::resize_spread(memory.dexpert_rows, groups.slots(), this->outputs());
    if (memory.weight_on == weight_on::input) {
      spread_rows<T>(pass.executor, groups, received, dy_here);
    } else {
      // weight * dy is made where the expert is: one row for each (token, rank) travels instead of one for each slot.
      const T* const weights = exchange.send_slot_values(ranks, memory.slot_weights.data(), memory.received_weights);
      weigh_rows<T>(pass.executor, groups, received, weights, dy_here);
      weight_gradients<T>(pass.executor, memory.plan, view_of(dy),
                          kernels::spread_block(memory.expert_rows, this->outputs()), memory.gradient.weights.data());
    }
    const view<T> here = kernels::resize_spread(memory.rows_here, groups.slots(), this->model());
    memory.backward_slots(here, this->experts_of_gradients(grads), expert_, this->experts_params(), groups,
                          in<T>(map_of(view<const T>(memory.received_x.block()))), dy_here, pass);
    exchange.return_rows(pass.executor, ranks, here, dslots);
  }

  expert_placement placement_;
  index rank_ = 0;
};

template <class Gate, class Expert, class Seed>
  requires std::is_arithmetic_v<Seed> expert_parallel_layer(Gate, Expert, Seed, expert_placement, index)
->expert_parallel_layer<Gate, Expert>;
template <class Gate, class Expert, class Seed>
  requires std::is_arithmetic_v<Seed> expert_parallel_layer(Gate, Expert, Seed, expert_placement, index, layer_options)
->expert_parallel_layer<Gate, Expert>;
template <class Gate, class Expert, class Shared, class Seed>
  requires(!std::is_arithmetic_v<Shared> && std::is_arithmetic_v<Seed>)
expert_parallel_layer(Gate, Expert, Shared, Seed, expert_placement, index, layer_options = {})
->expert_parallel_layer<Gate, Expert, Shared>;
template <class Gate, class Expert>
expert_parallel_layer(Gate, Expert, layer_parameters<Gate, Expert, no_shared_expert>, expert_placement, index,
                      layer_options = {}) -> expert_parallel_layer<Gate, Expert>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
