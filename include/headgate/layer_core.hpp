// SPDX-License-Identifier: BSD-3-Clause
// What trained sparse layers share, wherever their experts run: the policies, their checks, and the parts of a pass that stay
// with the token (gate, shared expert, losses).
#pragma once

#include <headgate/checks.hpp>
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
#include <headgate/routing/capacity.hpp>
#include <headgate/routing/combine.hpp>
#include <headgate/trained_parameters.hpp>

#include <cstdint>
#include <span>
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

/// Base of `layer` and `expert_parallel_layer`, which hold the parameters of all experts or of one rank's. `owner`s are the
/// names of public functions, for messages.
template <class Gate, class Expert, class Shared, class Parameters>
class layer_core : public trained_parameters<Parameters, Parameters> {
  static_assert(gate_policy<Gate>, "layer: Gate does not model headgate::gate_policy (docs/writing-a-gate.md)");
  static_assert(expert_policy<Expert>,
                "layer: Expert does not model headgate::expert_policy (docs/writing-an-expert.md)");
  static_assert(std::is_same_v<typename Gate::scalar, typename Expert::scalar>,
                "layer: Gate and Expert have different scalar types");

 public:
  using T = typename Gate::scalar;
  using scalar = T;
  using gate_type = Gate;
  using expert_type = Expert;
  using shared_type = Shared;

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

 protected:
  static constexpr bool has_shared = !std::is_same_v<Shared, no_shared_expert>;
  using gradients = Parameters;
  using trained_parameters<Parameters, Parameters>::parameters_;

  layer_core(Gate gate, Expert expert, Shared shared, layer_options options)
      : gate_(std::move(gate)), expert_(std::move(expert)), shared_(std::move(shared)), options_(options) {
    check_policies(gate_, expert_, shared_, options_);
  }

  /// The seed's parameters: the gate's, those of expert 0, 1, ..., the shared one's. place(e) says where expert e's go, null
  /// for nowhere: they are drawn all the same, for those behind them to be what they are.
  template <class Place>
  void draw(std::uint64_t seed, const Place& place) {
    std::mt19937_64 generator(seed);
    parameters_.gate = gate_.init(generator);
    for (index e = 0; e < parameterised_of(expert_, experts()); ++e) {
      typename Expert::params drawn = expert_.init(generator);
      if (typename Expert::params* const mine = place(e)) *mine = std::move(drawn);
    }
    if constexpr (has_shared) parameters_.shared = shared_.init(generator);
  }

  /// To be called once the parameters are there.
  void remember_sizes() {
    model_ = model();
    experts_ = experts();
    parameterised_ = parameterised_of(expert_, experts_);
    trained_parameters<Parameters, Parameters>::remember_sizes();
  }

  /// Routes x. Refuses options, and an x, of which no pass can be made.
  template <class Pass>
  void route(in<T> x, layer_workspace<Gate, Expert, Shared>& memory, const Pass& pass, const char* owner) const {
    check_sizes();
    options_.check();
    check_input<T>(x, model(), owner);
    memory.route(gate_, parameters_.gate, options_.capacity, x, pass);
  }

  /// y = shared(x), where there is a shared expert.
  template <class Executor>
  void forward_shared(in<T> x, view<T> y, layer_workspace<Gate, Expert, Shared>& memory,
                      const pass<T, Executor>& pass) const {
    if constexpr (has_shared) {
      const index offsets[2] = {0, x.rows()};
      // Random numbers of its own: expert 0 must not drop what the shared expert drops.
      const headgate::pass<T, Executor> of_shared{pass.executor, memory.kernel_memory, pass.training,
                                                  pass.random.channel(0)};
      forward_experts(shared_, std::span(&parameters_.shared, 1), row_groups{1, offsets}, x, y, memory.shared_cache,
                      of_shared);
    }
  }

  /// Overwrites dx with what the shared expert gives, or with zeros.
  template <class Tape, class Pass>
  void backward_shared(in<T> x, in<T> dy, Tape& memory, out<T> dx, gradients& grads, const Pass& pass) const {
    dx.setZero();
    if constexpr (has_shared) {
      const index offsets[2] = {0, x.rows()};
      const view<T> dy_tokens = kernels::resize_spread(memory.dexpert_rows, x.rows(), outputs());
      map_of(dy_tokens) = dy;
      backward_experts(shared_, std::span(&parameters_.shared, 1), row_groups{1, offsets}, x, dy_tokens,
                       memory.shared_cache, view_of(dx), std::span(&grads.shared, 1), pass);
    }
  }

  /// Adds the gate's part to dx and to its gradients, from the gradient of the record on the tape.
  template <class Tape, class Pass>
  void backward_gate(in<T> x, Tape& memory, out<T> dx, gradients& grads, const Pass& pass) const {
    if constexpr (requires {
                    gate_.backward(parameters_.gate, x, memory.routing, memory.gate_cache, memory.gradient, dx,
                                   grads.gate, pass);
                  })
      gate_.backward(parameters_.gate, x, memory.routing, memory.gate_cache, memory.gradient, dx, grads.gate, pass);
    else if constexpr (trainable_gate<Gate>)
      gate_.backward(parameters_.gate, x, memory.routing, memory.gate_cache, memory.gradient, dx, grads.gate);
  }

  /// Starts the gradient of the record with the losses', and returns their sum. Losses may refuse.
  template <class Tape, class... Losses>
  static T take_losses(Tape& memory, const Losses&... losses) {
    static_assert(trainable_expert<Expert>,
                  "layer::backward: Expert does not model headgate::trainable_expert (docs/writing-an-expert.md)");
    static_assert(trainable_gate<Gate> || std::tuple_size_v<std::remove_cvref_t<decltype(Gate::fields)>> == 0,
                  "layer::backward: Gate does not model headgate::trainable_gate (docs/writing-a-gate.md)");
    static_assert((routing_loss<Losses, T> && ...),
                  "layer::backward: a loss does not model headgate::routing_loss (docs/losses.md)");
    memory.gradient.reset(memory.routing);
    T loss{0};
    ((loss += static_cast<T>(losses(memory.routing, memory.gradient))), ...);
    return loss;
  }

  template <class Tape>
  void check_backward(in<T> x, in<T> dy, const Tape& memory, const gradients& grads, const char* owner) const {
    check_sizes();
    check_batch<T>(x, dy, memory.tokens, model(), outputs(), owner);
    if (!(memory.sizes == this->sizes()))
      refuse(owner, ": the tape was recorded by a layer of other sizes (", memory.routing.experts,
             " experts, this one has ", experts(), ")");
    if (grads.experts.size() != parameters_.experts.size())
      refuse(owner, ": the gradients are for ", grads.experts.size(), " experts, the layer has ",
             parameters_.experts.size(), "; make them with zero_gradients()");
    this->check_gradients(grads, owner);
  }

  [[nodiscard]] std::span<const typename Expert::params> experts_params() const {
    return {parameters_.experts.data(), static_cast<std::size_t>(parameters_.experts.size())};
  }
  [[nodiscard]] static std::span<typename Expert::params> experts_of_gradients(gradients& grads) {
    return {grads.experts.data(), static_cast<std::size_t>(grads.experts.size())};
  }

  HEADGATE_NO_UNIQUE_ADDRESS Gate gate_;
  HEADGATE_NO_UNIQUE_ADDRESS Expert expert_;
  HEADGATE_NO_UNIQUE_ADDRESS Shared shared_;
  layer_options options_;

 private:
  /// Whoever changes an option through `gate()` can also change a size, for which there are no parameters.
  void check_sizes() const {
    if (model() != model_) refuse("layer: the gate now says model = ", model(), ", the layer was built for ", model_);
    if (parameterised_of(expert_, experts()) != parameterised_)
      refuse("layer: the gate now says experts = ", experts(), ", the layer was built for ", experts_);
  }

  // For which the parameters were made.
  index model_ = 0;
  index experts_ = 0;
  index parameterised_ = 0;
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
