// SPDX-License-Identifier: BSD-3-Clause
// The sparse mixture-of-experts layer (Shazeer et al. 2017, arXiv:1701.06538, eq. 1).
#pragma once

#include <headgate/checks.hpp>
#include <headgate/concepts/executor.hpp>
#include <headgate/concepts/expert_policy.hpp>
#include <headgate/concepts/gate_policy.hpp>
#include <headgate/concepts/routing_loss.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/experts/expert_bank.hpp>
#include <headgate/kernels/blocking.hpp>
#include <headgate/layer_state.hpp>
#include <headgate/parallel/sequential.hpp>
#include <headgate/routing/capacity.hpp>
#include <headgate/routing/combine.hpp>
#include <headgate/trained_parameters.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Options of a layer that are not sizes.
struct layer_options {
  headgate::capacity capacity{};
  headgate::weight_on weight_on = headgate::weight_on::output;

  void check() const {
    capacity.check();
    check_weight_on(weight_on, "layer");
  }
};

/// y_t = [shared(x_t) +] sum over the experts e that the gate picks for token t of weight_te * expert_e(x_t), or, with
/// weight_on::input, of expert_e(weight_te * x_t)
///
/// x (tokens x model), y (tokens x outputs). Terms are added in this order, the experts ascending, so that a token's row has the same bits in
/// any batch, beside any neighbours and with any number of threads. Every member is safe to call from several threads
/// at once with a workspace or tape each, as long as nobody changes the parameters.
template <class Gate, class Expert, class Shared = no_shared_expert>
class layer
    : public trained_parameters<layer_parameters<Gate, Expert, Shared>, layer_parameters<Gate, Expert, Shared>> {
  static_assert(gate_policy<Gate>, "layer: Gate does not model headgate::gate_policy (docs/writing-a-gate.md)");
  static_assert(expert_policy<Expert>,
                "layer: Expert does not model headgate::expert_policy (docs/writing-an-expert.md)");
  static_assert(std::is_same_v<typename Gate::scalar, typename Expert::scalar>,
                "layer: Gate and Expert have different scalar types");
  static constexpr bool has_shared = !std::is_same_v<Shared, no_shared_expert>;

 public:
  using T = typename Gate::scalar;
  using scalar = T;
  using gate_type = Gate;
  using expert_type = Expert;
  using shared_type = Shared;
  using parameters = layer_parameters<Gate, Expert, Shared>;
  using gradients = parameters;
  using workspace = layer_workspace<Gate, Expert, Shared>;
  using tape = layer_tape<Gate, Expert, Shared>;

  /// Draws fresh parameters from the seed. Refuses sizes that contradict each other.
  layer(Gate gate, Expert expert, std::uint64_t seed, layer_options options = {}) requires(!has_shared)
      : layer(std::move(gate), std::move(expert), Shared{}, seed, options) {}

  layer(Gate gate, Expert expert, Shared shared, std::uint64_t seed, layer_options options = {})
      : gate_(std::move(gate)), expert_(std::move(expert)), shared_(std::move(shared)), options_(options) {
    check();
    std::mt19937_64 generator(seed);
    parameters_.gate = gate_.init(generator);
    parameters_.experts.resize(parameterised_of(expert_, experts()));
    for (auto& p : parameters_.experts) p = expert_.init(generator);
    if constexpr (has_shared) parameters_.shared = shared_.init(generator);
    model_ = model();
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
      : gate_(std::move(gate)), expert_(std::move(expert)), shared_(std::move(shared)), options_(options) {
    check();
    check_ready(gate_, expert_, shared_, ready);
    parameters_ = std::move(ready);
    model_ = model();
    this->remember_sizes();
  }

  [[nodiscard]] index model() const { return model_of(gate_); }
  [[nodiscard]] index outputs() const { return outputs_of(expert_); }
  [[nodiscard]] index experts() const { return experts_of(gate_); }

  /// The policies. Options such as a temperature may change between passes, sizes may not.
  [[nodiscard]] Gate& gate() { return gate_; }
  [[nodiscard]] const Gate& gate() const { return gate_; }
  [[nodiscard]] const Expert& expert() const { return expert_; }
  [[nodiscard]] const Shared& shared() const { return shared_; }
  [[nodiscard]] layer_options& options() { return options_; }
  [[nodiscard]] const layer_options& options() const { return options_; }

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
    memory.tokens = -1;  // a forward that fails leaves nothing to differentiate
    run(executor, row_major<T>(x), y, static_cast<workspace&>(memory), memory.training, memory.random);
    memory.used = memory.random;
    if (memory.training) memory.random = memory.random.next();
    memory.tokens = x.rows();
    memory.sizes = this->sizes();
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
    static_assert(trainable_expert<Expert>,
                  "layer::backward: Expert does not model headgate::trainable_expert (docs/writing-an-expert.md)");
    static_assert(trainable_gate<Gate> || std::tuple_size_v<std::remove_cvref_t<decltype(Gate::fields)>> == 0,
                  "layer::backward: Gate does not model headgate::trainable_gate (docs/writing-a-gate.md)");
    static_assert((routing_loss<Losses, T> && ...),
                  "layer::backward: a loss does not model headgate::routing_loss (docs/losses.md)");
    const in<T> x_rows = row_major<T>(x);
    const in<T> dy_rows = row_major<T>(dy);
    check_backward(x_rows, dy_rows, memory, grads);
    memory.gradient.reset(memory.routing);
    // Losses may refuse, so they come before anything is written.
    const T loss = add_losses(memory.routing, memory.gradient, losses...);

    check_apart<T>(row_major<T>(dx), x_rows, "layer::backward", "dx and x");  // before dx is resized
    check_apart<T>(row_major<T>(dx), dy_rows, "layer::backward", "dx and dy");
    out<T> dx_rows = prepare<T>(dx, x.rows(), model(), "layer::backward", "dx");
    dx_rows.setZero();
    const pass<T, Executor> pass{executor, memory.kernel_memory, memory.training, memory.used};
    backward_experts_into(x_rows, dy_rows, memory, dx_rows, grads, pass);
    if constexpr (requires {
                    gate_.backward(parameters_.gate, x_rows, memory.routing, memory.gate_cache, memory.gradient,
                                   dx_rows, grads.gate, pass);
                  })
      gate_.backward(parameters_.gate, x_rows, memory.routing, memory.gate_cache, memory.gradient, dx_rows, grads.gate,
                     pass);
    else if constexpr (trainable_gate<Gate>)
      gate_.backward(parameters_.gate, x_rows, memory.routing, memory.gate_cache, memory.gradient, dx_rows, grads.gate);
    return loss;
  }
  template <class X, class DY, class DX, class... Losses>
    requires(!executor<X>)
  T backward(const X& x, const DY& dy, tape& memory, DX&& dx, gradients& grads, const Losses&... losses)
  const { return backward(run_sequentially, x, dy, memory, dx, grads, losses...); }

 private:
  using trained_parameters<parameters, parameters>::parameters_;

  void check() const { check_policies(gate_, expert_, shared_, options_); }

  /// Whoever changes an option through `gate()` can also change a size, for which there are no parameters.
  void check_sizes() const {
    if (model() != model_) refuse("layer: the gate now says model = ", model(), ", the layer was built for ", model_);
    const index parameterised = parameterised_of(expert_, experts());
    if (parameterised != parameters_.experts.size())
      refuse("layer: the gate now says experts = ", experts(), ", the layer was built for ",
             parameters_.experts.size() + experts() - parameterised);
  }

  template <class Executor, class Y>
  void run(const Executor& executor, in<T> x, Y& y, workspace& memory, bool training, random_stream random) const {
    check_sizes();
    options_.check();
    check_input<T>(x, model(), "layer::forward");
    const pass<T, Executor> pass{executor, memory.kernel_memory, training, random};
    memory.route(gate_, parameters_.gate, options_.capacity, x, pass);

    check_apart<T>(row_major<T>(y), x, "layer::forward", "x and y");  // before y is resized
    out<T> y_rows = prepare<T>(y, x.rows(), outputs(), "layer::forward", "y");
    if constexpr (has_shared) {
      const index offsets[2] = {0, x.rows()};
      // Random numbers of its own: expert 0 must not drop what the shared expert drops.
      const headgate::pass<T, Executor> of_shared{executor, memory.kernel_memory, training, random.channel(0)};
      forward_experts(shared_, std::span(&parameters_.shared, 1), row_groups{1, offsets}, x, view_of(y_rows),
                      memory.shared_cache, of_shared);
    }
    memory.forward_into(view_of(y_rows), has_shared, expert_, experts_params(), memory.plan, memory.slot_weights.data(),
                        options_.weight_on, x, pass);
  }

  /// Gradients of the weights, of the experts and of x through both.
  template <class Pass>
  void backward_experts_into(in<T> x, in<T> dy, tape& memory, out<T> dx, gradients& grads, const Pass& pass) const {
    if constexpr (has_shared) {
      const index offsets[2] = {0, x.rows()};
      const view<T> dy_tokens = kernels::resize_spread(memory.dexpert_rows, x.rows(), outputs());
      map_of(dy_tokens) = dy;
      backward_experts(shared_, std::span(&parameters_.shared, 1), row_groups{1, offsets}, x, dy_tokens,
                       memory.shared_cache, view_of(dx), std::span(&grads.shared, 1), pass);
    }
    memory.backward_into(view_of(dx), std::span(grads.experts.data(), static_cast<std::size_t>(grads.experts.size())),
                         memory.gradient.weights.data(), expert_, experts_params(), memory.plan,
                         memory.slot_weights.data(), x, dy, memory.dexpert_rows, memory.dslots, pass);
  }

  [[nodiscard]] std::span<const typename Expert::params> experts_params() const {
    return {parameters_.experts.data(), static_cast<std::size_t>(parameters_.experts.size())};
  }

  void check_backward(in<T> x, in<T> dy, const tape& memory, const gradients& grads) const {
    check_sizes();
    check_batch<T>(x, dy, memory.tokens, model(), outputs(), "layer::backward");
    if (!(memory.sizes == this->sizes()))
      refuse("layer::backward: the tape was recorded by a layer of other sizes (", memory.routing.experts,
             " experts, this one has ", experts(), ")");
    if (grads.experts.size() != parameters_.experts.size())
      refuse("layer::backward: the gradients are for ", grads.experts.size(), " experts, the layer has ",
             parameters_.experts.size(), "; make them with zero_gradients()");
    this->check_gradients(grads, "layer::backward");
  }

  HEADGATE_NO_UNIQUE_ADDRESS Gate gate_;
  HEADGATE_NO_UNIQUE_ADDRESS Expert expert_;
  HEADGATE_NO_UNIQUE_ADDRESS Shared shared_;
  layer_options options_;
  index model_ = 0;  // for which the parameters were made
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
