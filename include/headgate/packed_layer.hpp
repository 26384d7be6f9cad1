// SPDX-License-Identifier: BSD-3-Clause
// A layer for inference alone: its weights packed once, in the order and the number format in which kernels read them.
#pragma once

#include <headgate/checks.hpp>
#include <headgate/concepts/executor.hpp>
#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/experts/packed_experts.hpp>
#include <headgate/experts/packed_pass.hpp>
#include <headgate/experts/packed_shared.hpp>
#include <headgate/kernels/block_memory.hpp>
#include <headgate/kernels/combined_product.hpp>
#include <headgate/kernels/gemm.hpp>
#include <headgate/kernels/storage.hpp>
#include <headgate/layer.hpp>
#include <headgate/parallel/sequential.hpp>
#include <headgate/routed_batch.hpp>
#include <headgate/routing/combine.hpp>

#include <algorithm>
#include <span>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// What a workspace must hold for a batch: `packed_layer::plan` tells it, `packed_layer::reserve` provides it.
struct workspace_plan {
  index tokens = 0;
  index workers = 1;
  index assignments = 0;  ///< at most
  index bytes = 0;        ///< of the workspace, without what the gate keeps in its cache
};

/// Computes what the `layer` it was made from computes, from weights that are stored as Storage: in the layer's own scalar
/// with the same bits; in `bf16` or `fp16` with weights rounded to nearest, half the memory to read, and sums in float.
/// Biases and the gate keep the layer's scalar: the routing is the layer's own, whatever the storage.
///
/// Immutable: changes to the layer after packing are not seen. Safe from many threads with a workspace each.
/// Two passes over the tasks of an executor: {input projections, activation}, {output projections, combination}.
template <class Layer, class Storage = typename Layer::scalar>
class packed_layer {
  static_assert(
      requires { typename Layer::shared_type; }, "packed_layer: Layer is not a headgate::layer");
  using Gate = typename Layer::gate_type;
  using Expert = typename Layer::expert_type;
  using Shared = typename Layer::shared_type;
  static_assert(
      requires { kernels::panel_storage<xsimd::default_arch, typename Layer::scalar, Storage>::position(0); },
      "packed_layer: weights are stored in the layer's scalar or, if that is float, in bf16 or fp16");
  static constexpr bool has_shared = !std::is_same_v<Shared, no_shared_expert>;
  struct nothing {
    struct pass_memory {};
  };
  using PackedShared = typename std::conditional_t<
      has_shared, std::type_identity<packed_shared<std::conditional_t<has_shared, Shared, Expert>, Storage>>,
      std::type_identity<nothing>>::type;

 public:
  using T = typename Gate::scalar;
  using scalar = T;
  using storage = Storage;
  using source = std::remove_const_t<Layer>;

  /// Memory of a pass, reused by the next. One thread at a time may use it; its record tells who went where.
  struct workspace : routed_batch<Gate> {
    packed_pass<Expert, Storage> routed;
    HEADGATE_NO_UNIQUE_ADDRESS typename PackedShared::pass_memory shared;
    array<kernels::combined_term<T, Storage>> terms;
    scratch<T> inputs;  // (slots x model), weighted rows of x; unused where the weight is on the output
    scratch<T> ones;    // (1 x slots), unused there too
    scratch<T> kernel_memory;
  };

  /// Packs the layer's weights, an expert at a time on each of the executor's threads. Refuses a layer whose parameters do
  /// not have the sizes that its policies say, and finite weights beyond the largest number of Storage.
  template <executor Executor>
  packed_layer(const source& from, const Executor& executor)
      : gate_(from.gate()),
        gate_params_(from.params().gate),
        options_(from.options()),
        outputs_(from.outputs()),
        experts_(from.expert(), experts_of(from), executor),
        shared_([&] {
          if constexpr (has_shared)
            return PackedShared(from.shared(), from.params().shared, executor);
          else
            return nothing{};
        }()) {
    options_.check();
  }
  explicit packed_layer(const source& from) : packed_layer(from, run_sequentially) {}

  /// The same of parameters of which the experts' come one after the other (`packed_experts`): those in `p` stay unread.
  template <class ExpertSource>
  packed_layer(const Gate& gate, const Expert& expert, const Shared& shared, const typename source::parameters& p,
               const layer_options& options, ExpertSource&& experts)
      : gate_((check_policies(gate, expert, shared, options), check_gate_parameters(gate, p.gate), gate)),
        gate_params_(p.gate),
        options_(options),
        outputs_(outputs_of(expert)),
        experts_(expert, parameterised_of(expert, headgate::experts_of(gate)), experts),
        shared_([&] {
          if constexpr (has_shared)
            return PackedShared(shared, p.shared, run_sequentially);
          else
            return nothing{};
        }()) {}

  [[nodiscard]] index model() const { return model_of(gate_); }
  [[nodiscard]] index outputs() const { return outputs_; }
  [[nodiscard]] index experts() const { return headgate::experts_of(gate_); }
  [[nodiscard]] const Gate& gate() const { return gate_; }
  /// Bytes of all packed weights.
  [[nodiscard]] index bytes() const {
    if constexpr (has_shared)
      return experts_.bytes() + shared_.bytes();
    else
      return experts_.bytes();
  }

  /// What a workspace must hold for so many tokens, however they are routed. A selection that does not tell how many experts
  /// it takes may take all.
  [[nodiscard]] workspace_plan plan(index tokens, index workers = 1) const {
    if (tokens < 0 || workers < 1)
      refuse("packed_layer::plan: tokens is ", tokens, " and workers ", workers, ", they must be at least 0 and 1");
    workspace_plan p{tokens, workers, tokens * most_experts_of_a_token(gate_, experts()), 0};
    const index groups = (std::min)(p.assignments, experts());
    p.bytes = routed_batch<Gate>::bytes(tokens, p.assignments, experts()) +
              packed_pass<Expert, Storage>::bytes(experts_, p.assignments, groups) +
              (groups + 1) * static_cast<index>(sizeof(kernels::combined_term<T, Storage>)) +
              workers * block_size(tokens, p.assignments) * static_cast<index>(sizeof(T));
    if (options_.weight_on == weight_on::input)
      p.bytes += p.assignments * (kernels::spread_stride<T>(model()) + 1) * static_cast<index>(sizeof(T));
    if constexpr (has_shared) p.bytes += shared_.pass_bytes(tokens);
    return p;
  }

  /// Allocates all that `forward` with this executor will need for up to so many tokens, however they are routed: the first
  /// pass then allocates nothing either. Runs a batch of zeros.
  template <executor Executor>
  void reserve(const Executor& executor, index tokens, workspace& memory) const {
    const workspace_plan p = plan(tokens, static_cast<index>(executor.workers()));
    const matrix<T> x = matrix<T>::Zero(tokens, model());
    matrix<T> y(tokens, outputs());
    memory.terms.reserve((std::min)(p.assignments, experts()) + 1);
    memory.kernel_memory.resize(p.workers, block_size(tokens, p.assignments));
    memory.route(gate_, gate_params_, options_.capacity, x, pass<T, Executor>{executor, memory.kernel_memory});
    memory.route_worst(p.assignments, executor);
    memory.kernel_memory.resize(p.workers, block_size(tokens, p.assignments));
    run(executor, view_of(x), view_of(y), memory);
  }

  void reserve(index tokens, workspace& memory) const { reserve(run_sequentially, tokens, memory); }

  /// Inference into a new matrix. Allocates; `forward` with a workspace does not.
  template <class X>
  [[nodiscard]] matrix<T> operator()(const X& x) const {
    matrix<T> y;
    workspace memory;
    forward(x, y, memory);
    return y;
  }

  /// As layer::forward: y_t = [shared(x_t) +] sum of weight_te * expert_e(x_t), or of expert_e(weight_te * x_t), for
  /// x (tokens x model) and y (tokens x outputs). Refuses wrong shapes and values that are not finite before it writes to y;
  /// y is resized if it owns its memory. Allocates nothing once the workspace has seen as many tokens and assignments.
  template <executor Executor, class X, class Y>
  void forward(const Executor& executor, const X& x_matrix, Y&& y, workspace& memory) const {
    const in<T> x = row_major<T>(x_matrix);
    check_input<T>(x, model(), "packed_layer::forward");
    memory.route(gate_, gate_params_, options_.capacity, x, pass<T, Executor>{executor, memory.kernel_memory});
    check_apart<T>(row_major<T>(y), x, "packed_layer::forward", "x and y");  // before y is resized
    out<T> y_rows = prepare<T>(y, x.rows(), outputs(), "packed_layer::forward", "y");
    run(executor, view_of(x), view_of(y_rows), memory);
  }
  template <class X, class Y>
  void forward(const X& x, Y&& y, workspace& memory) const {
    forward(run_sequentially, x, y, memory);
  }

 private:
  static std::span<const typename Expert::params> experts_of(const source& from) {
    const auto& all = from.params().experts;
    const index parameterised = parameterised_of(from.expert(), from.experts());
    if (all.size() != parameterised)
      refuse("packed_layer: the gate says experts = ", from.experts(), ", the layer has ",
             all.size() + from.experts() - parameterised);
    if (from.model() != model_of(from.expert()))
      refuse("packed_layer: the gate says model = ", from.model(), ", the layer was built for ",
             model_of(from.expert()));
    return {all.data(), static_cast<std::size_t>(all.size())};
  }

  /// Of a gate that wraps another (`in_double`, `random_second`), what that one says.
  template <class G>
  [[nodiscard]] static index most_experts_of_a_token(const G& gate, index experts) {
    if constexpr (requires { gate.select.count(experts); })
      return gate.select.count(experts);
    else if constexpr (requires { gate.gate.experts(); })
      return most_experts_of_a_token(gate.gate, experts);
    else
      return experts;
  }

  /// Elements of one worker's memory in any product of a pass over so many tokens.
  [[nodiscard]] index block_size(index tokens, index assignments) const {
    return kernels::block_memory<xsimd::default_arch, T>::size(tokens + assignments, model());
  }

  template <class Executor>
  void run(const Executor& executor, view<const T> x, view<T> y, workspace& memory) const {
    const auto workers = static_cast<index>(executor.workers());
    memory.terms.clear();
    if constexpr (has_shared) shared_.prepare(x, memory.terms, memory.shared, executor);
    prepare_routed(executor, x, memory);
    if constexpr (has_shared)
      kernels::run_together(executor, memory.kernel_memory, memory.shared.products.work(workers),
                            memory.routed.work(workers));
    else
      kernels::run_together(executor, memory.kernel_memory, memory.routed.work(workers));
    kernels::combined_product(std::span<const kernels::combined_term<T, Storage>>(memory.terms), y, executor,
                              memory.kernel_memory);
  }

  template <class Executor>
  void prepare_routed(const Executor& executor, view<const T> x, workspace& memory) const {
    const row_groups groups = memory.plan.groups();
    if (options_.weight_on == weight_on::output)
      return memory.routed.prepare(experts_, groups, x, memory.slot_weights.data(), memory.terms);
    const view<T> inputs = kernels::resize_spread(memory.inputs, groups.slots(), model());
    weigh_rows<T>(executor, groups, x, memory.slot_weights.data(), inputs);
    std::fill_n(memory.ones.resize(1, groups.slots()).data, groups.slots(), T{1});
    memory.routed.prepare(experts_, groups, x, memory.ones.data(), memory.terms, inputs);
  }

  Gate gate_;
  typename Gate::params gate_params_;
  layer_options options_;
  index outputs_ = 0;
  packed_experts<Expert, Storage> experts_;
  HEADGATE_NO_UNIQUE_ADDRESS PackedShared shared_;
};

template <class Gate, class Expert, class Shared>
packed_layer(const layer<Gate, Expert, Shared>&) -> packed_layer<layer<Gate, Expert, Shared>>;
template <class Gate, class Expert, class Shared, class Executor>
packed_layer(const layer<Gate, Expert, Shared>&, const Executor&) -> packed_layer<layer<Gate, Expert, Shared>>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
