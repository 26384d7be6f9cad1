// SPDX-License-Identifier: BSD-3-Clause
// The sparse mixture-of-experts layer (Shazeer et al. 2017, arXiv:1701.06538, eq. 1).
#pragma once

#include <headgate/checks.hpp>
#include <headgate/concepts/executor.hpp>
#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/layer_core.hpp>
#include <headgate/layer_state.hpp>
#include <headgate/parallel/sequential.hpp>

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// y_t = [shared(x_t) +] sum over the experts e that the gate picks for token t of weight_te * expert_e(x_t), or, with
/// weight_on::input, of expert_e(weight_te * x_t)
///
/// x (tokens x model), y (tokens x outputs). Terms are added in this order, the experts ascending, so that a token's row has
/// the same bits in any batch, beside any neighbours and with any number of threads. Every member is safe to call from
/// several threads at once with a workspace or tape each, as long as nobody changes the parameters.
template <class Gate, class Expert, class Shared = no_shared_expert>
class layer : public layer_core<Gate, Expert, Shared, layer_parameters<Gate, Expert, Shared>> {
  using core = layer_core<Gate, Expert, Shared, layer_parameters<Gate, Expert, Shared>>;
  static constexpr bool has_shared = core::has_shared;

 public:
  using T = typename core::T;
  using parameters = layer_parameters<Gate, Expert, Shared>;
  using gradients = parameters;
  using workspace = layer_workspace<Gate, Expert, Shared>;
  using tape = layer_tape<Gate, Expert, Shared>;

  /// Draws fresh parameters from the seed. Refuses sizes that contradict each other.
  layer(Gate gate, Expert expert, std::uint64_t seed, layer_options options = {}) requires(!has_shared)
      : layer(std::move(gate), std::move(expert), Shared{}, seed, options) {}

  layer(Gate gate, Expert expert, Shared shared, std::uint64_t seed, layer_options options = {})
      : core(std::move(gate), std::move(expert), std::move(shared), options) {
    parameters_.experts.resize(parameterised_of(expert_, this->experts()));
    this->draw(seed, [&](index e) { return &parameters_.experts[e]; });
    this->remember_sizes();
  }

  /// Takes parameters that are ready, a checkpoint's say, and draws none for the experts. Refuses those that do not fit
  /// (`check_ready` says which it can tell).
  template <std::same_as<layer_parameters<Gate, Expert, Shared>> Ready>
  layer(Gate gate, Expert expert, Ready ready, layer_options options = {}) requires(!has_shared)
      : layer(std::move(gate), std::move(expert), Shared{}, std::move(ready), options) {}

  // A template, or options in braces would be tried as parameters.
  template <std::same_as<layer_parameters<Gate, Expert, Shared>> Ready>
  layer(Gate gate, Expert expert, Shared shared, Ready ready, layer_options options = {})
      : core(std::move(gate), std::move(expert), std::move(shared), options) {
    check_ready(gate_, expert_, shared_, ready);
    parameters_ = std::move(ready);
    this->remember_sizes();
  }

  /// Inference into a new matrix. Allocates; `forward` with a workspace does not.
  template <class X>
  [[nodiscard]] matrix<T> operator()(const X& x) const {
    matrix<T> y;
    workspace memory;
    forward(x, y, memory);
    return y;
  }

  /// Inference: no noise, nothing kept for a backward. Refuses wrong shapes and values that are not finite before it
  /// writes to y; y is resized if it owns its memory.
  template <executor Executor, class X, class Y>
  void forward(const Executor& executor, const X& x, Y&& y, workspace& memory) const {
    run(executor, row_major<T>(x), y, memory, false, random_stream{});
  }
  template <class X, class Y>
  void forward(const X& x, Y&& y, workspace& memory) const {
    forward(run_sequentially, x, y, memory);
  }

  /// Training: the same, with noise from the tape, and the tape ready for `backward`.
  template <executor Executor, class X, class Y>
  void forward(const Executor& executor, const X& x, Y&& y, tape& memory) const {
    memory.begin();
    run(executor, row_major<T>(x), y, static_cast<workspace&>(memory), memory.training, memory.random);
    memory.finish(x.rows(), this->sizes());
  }
  template <class X, class Y>
  void forward(const X& x, Y&& y, tape& memory) const {
    forward(run_sequentially, x, y, memory);
  }

  /// Overwrites dx with dL/dx and adds dL/d(parameters) to `grads`, L being the caller's loss, of which dy is the
  /// gradient, plus the routing losses. Returns the sum of these, weight * value. The tape must come from a forward of this
  /// layer, with the same parameters and the same x: sizes are checked, values are not.
  template <executor Executor, class X, class DY, class DX, class... Losses>
  T backward(const Executor& executor, const X& x, const DY& dy, tape& memory, DX&& dx, gradients& grads,
             const Losses&... losses) const {
    const in<T> x_rows = row_major<T>(x);
    const in<T> dy_rows = row_major<T>(dy);
    this->check_backward(x_rows, dy_rows, memory, grads, "layer::backward");
    const T loss = this->take_losses(memory, losses...);  // may refuse, so before anything is written

    check_apart<T>(row_major<T>(dx), x_rows, "layer::backward", "dx and x");  // before dx is resized
    check_apart<T>(row_major<T>(dx), dy_rows, "layer::backward", "dx and dy");
    out<T> dx_rows = prepare<T>(dx, x.rows(), this->model(), "layer::backward", "dx");
    const pass<T, Executor> pass{executor, memory.kernel_memory, memory.training, memory.used};
    this->backward_shared(x_rows, dy_rows, memory, dx_rows, grads, pass);
    memory.backward_into(view_of(dx_rows), this->experts_of_gradients(grads), memory.gradient.weights.data(), expert_,
                         this->experts_params(), memory.plan, memory.slot_weights.data(), x_rows, dy_rows,
                         memory.dexpert_rows, memory.dslots, pass);
    this->backward_gate(x_rows, memory, dx_rows, grads, pass);
    return loss;
  }
  template <class X, class DY, class DX, class... Losses>
    requires(!executor<X>)
  T backward(const X& x, const DY& dy, tape& memory, DX&& dx, gradients& grads, const Losses&... losses)
  const { return backward(run_sequentially, x, dy, memory, dx, grads, losses...); }

 private:
  using core::expert_;
  using core::gate_;
  using core::options_;
  using core::parameters_;
  using core::shared_;

  template <class Executor, class Y>
  void run(const Executor& executor, in<T> x, Y& y, workspace& memory, bool training, random_stream random) const {
    const pass<T, Executor> pass{executor, memory.kernel_memory, training, random};
    this->route(x, memory, pass, "layer::forward");
    check_apart<T>(row_major<T>(y), x, "layer::forward", "x and y");  // before y is resized
    out<T> y_rows = prepare<T>(y, x.rows(), this->outputs(), "layer::forward", "y");
    this->forward_shared(x, view_of(y_rows), memory, pass);
    memory.forward_into(view_of(y_rows), has_shared, expert_, this->experts_params(), memory.plan,
                        memory.slot_weights.data(), options_.weight_on, x, pass);
  }
};

template <class Gate, class Expert, class Seed>
  requires std::is_arithmetic_v<Seed> layer(Gate, Expert, Seed)
->layer<Gate, Expert>;
template <class Gate, class Expert, class Seed>
  requires std::is_arithmetic_v<Seed> layer(Gate, Expert, Seed, layer_options)
->layer<Gate, Expert>;
template <class Gate, class Expert, class Shared, class Seed>
  requires(!std::is_arithmetic_v<Shared>)
layer(Gate, Expert, Shared, Seed)
->layer<Gate, Expert, Shared>;
template <class Gate, class Expert, class Shared, class Seed>
  requires(!std::is_arithmetic_v<Shared>)
layer(Gate, Expert, Shared, Seed, layer_options)
->layer<Gate, Expert, Shared>;
template <class Gate, class Expert>
layer(Gate, Expert, layer_parameters<Gate, Expert, no_shared_expert>, layer_options = {}) -> layer<Gate, Expert>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
