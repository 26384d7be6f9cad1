// SPDX-License-Identifier: BSD-3-Clause
// One expert as a layer of its own: every token, no router. Dense baselines, embeddings and output heads.
#pragma once

#include <headgate/checks.hpp>
#include <headgate/concepts/executor.hpp>
#include <headgate/concepts/expert_policy.hpp>
#include <headgate/config.hpp>
#include <headgate/core/extent.hpp>
#include <headgate/core/field.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/experts/expert_bank.hpp>
#include <headgate/parallel/sequential.hpp>
#include <headgate/trained_parameters.hpp>

#include <span>
#include <utility>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The walk over the fields of one expert's parameters.
template <class Expert>
struct expert_walker {
  template <fields_of Which, class F, class... Parameters>
  static void walk(F&& f, Parameters&... p) {
    field_path path;
    for_each_field<Expert, Which>(path, f, p...);
  }
};

/// y = expert(x), x (tokens x model), y (tokens x outputs). The interface is that of `layer`, without routing.
template <class Expert>
class dense_layer : public trained_parameters<typename Expert::params, expert_walker<Expert>> {
  static_assert(expert_policy<Expert>,
                "dense_layer: Expert does not model headgate::expert_policy (docs/writing-an-expert.md)");

 public:
  using T = typename Expert::scalar;
  using scalar = T;
  using parameters = typename Expert::params;
  using gradients = parameters;

  /// What backward needs of the forward before it; the caller owns and reuses it.
  struct tape {
    random_stream random{};  ///< dropout of the next forward, which then moves on by one step
    bool training = true;
    index tokens = -1;
    shape_key sizes{};
    random_stream used{};
    expert_bank_cache<Expert> cache;
    scratch<T> dy;
    scratch<T> kernel_memory;
  };

  /// Draws fresh parameters from the seed.
  dense_layer(Expert expert, std::uint64_t seed) : expert_(std::move(expert)) {
    check_positive("dense_layer", "model", model());
    if constexpr (requires { expert_.check(); }) expert_.check();
    std::mt19937_64 generator(seed);
    parameters_ = expert_.init(generator);
    this->remember_sizes();
  }

  [[nodiscard]] index model() const { return model_of(expert_); }
  [[nodiscard]] index outputs() const { return outputs_of(expert_); }

  /// Inference into a new matrix.
  template <class X>
  [[nodiscard]] matrix<T> operator()(const X& x) const {
    matrix<T> y;
    tape memory;
    memory.training = false;
    forward(x, y, memory);
    return y;
  }

  template <executor Executor, class X, class Y>
  void forward(const Executor& executor, const X& x, Y&& y, tape& memory) const {
    memory.tokens = -1;
    const in<T> x_rows = row_major<T>(x);
    check_input<T>(x_rows, model(), "dense_layer::forward");
    check_apart<T>(row_major<T>(y), x_rows, "dense_layer::forward", "x and y");  // before y is resized
    out<T> y_rows = prepare<T>(y, x.rows(), outputs(), "dense_layer::forward", "y");
    memory.used = memory.random;
    if (memory.training) memory.random = memory.random.next();
    const index offsets[2] = {0, x.rows()};
    forward_experts(expert_, std::span<const parameters>(&parameters_, 1), row_groups{1, offsets}, x_rows,
                    view_of(y_rows), memory.cache, pass_of(executor, memory));
    memory.tokens = x.rows();
    memory.sizes = this->sizes();
  }
  template <class X, class Y>
  void forward(const X& x, Y&& y, tape& memory) const {
    forward(run_sequentially, x, y, memory);
  }

  /// Overwrites dx, adds to grads.
  template <executor Executor, class X, class DY, class DX>
  void backward(const Executor& executor, const X& x, const DY& dy, tape& memory, DX&& dx, gradients& grads) const {
    static_assert(
        trainable_expert<Expert>,
        "dense_layer::backward: Expert does not model headgate::trainable_expert (docs/writing-an-expert.md)");
    const in<T> x_rows = row_major<T>(x);
    const in<T> dy_rows = row_major<T>(dy);
    check_batch<T>(x_rows, dy_rows, memory.tokens, model(), outputs(), "dense_layer::backward");
    if (!(memory.sizes == this->sizes()))
      refuse("dense_layer::backward: the tape was recorded by a layer of other sizes");
    this->check_gradients(grads, "dense_layer::backward");
    check_apart<T>(row_major<T>(dx), x_rows, "dense_layer::backward", "dx and x");  // before dx is resized
    check_apart<T>(row_major<T>(dx), dy_rows, "dense_layer::backward", "dx and dy");
    out<T> dx_rows = prepare<T>(dx, x.rows(), model(), "dense_layer::backward", "dx");
    const index offsets[2] = {0, x.rows()};
    map_of(memory.dy.resize(dy.rows(), dy.cols())) = dy_rows;
    backward_experts(expert_, std::span<const parameters>(&parameters_, 1), row_groups{1, offsets}, x_rows,
                     memory.dy.block(), memory.cache, view_of(dx_rows), std::span(&grads, 1),
                     pass_of(executor, memory));
  }
  template <class X, class DY, class DX>
    requires(!executor<X>)
  void backward(const X& x, const DY& dy, tape& memory, DX&& dx, gradients& grads) const {
    backward(run_sequentially, x, dy, memory, dx, grads);
  }

 private:
  using trained_parameters<parameters, expert_walker<Expert>>::parameters_;

  template <class Executor>
  static pass<T, Executor> pass_of(const Executor& executor, tape& memory) {
    return {executor, memory.kernel_memory, memory.training, memory.used};
  }

  HEADGATE_NO_UNIQUE_ADDRESS Expert expert_;
};

template <class Expert, class Seed>
dense_layer(Expert, Seed) -> dense_layer<Expert>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
