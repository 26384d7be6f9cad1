// SPDX-License-Identifier: BSD-3-Clause
// The weights of a layer's experts as packed panels: made once, never changed.
#pragma once

#include <headgate/concepts/executor.hpp>
#include <headgate/concepts/expert_policy.hpp>
#include <headgate/config.hpp>
#include <headgate/core/error.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/kernels/finite.hpp>
#include <headgate/kernels/panels.hpp>
#include <headgate/kernels/product.hpp>
#include <headgate/kernels/storage.hpp>

#include <algorithm>
#include <concepts>
#include <span>
#include <type_traits>

namespace headgate {
inline namespace HEADGATE_ABI {

/// All experts of one layer: for each the panels of its input projection (of gate and up, interleaved vector by vector),
/// if it has one, and of its output projection, one after the other in one block; biases stay in T. Every expert's panels
/// start on a cache line.
template <class Expert, class Storage>
class packed_experts {
  static_assert(packable_expert<Expert>,
                "packed_layer: an expert does not model headgate::packable_expert (docs/writing-an-expert.md)");

 public:
  using T = typename Expert::scalar;
  using params = typename Expert::params;
  using product = kernels::product<T, Storage>;
  static constexpr bool has_input_projection = requires(const Expert& e, const params& p) { e.input_projection(p); };

  /// Packs the experts of p, each a task of the executor's. Refuses experts whose matrices do not fit each other or those of
  /// expert 0, and finite weights that Storage cannot hold.
  template <executor Executor>
  packed_experts(const Expert& expert, std::span<const params> p, const Executor& executor)
      : expert_(expert), count_(static_cast<index>(p.size())) {
    for (index e = 0; e < count_; ++e) check(p[static_cast<std::size_t>(e)], e);
    make_room();
    executor.run(count_, [&](index e, index) { pack(p[static_cast<std::size_t>(e)], e); });
  }

  /// The same of experts that come one after the other: `source(e)` is asked once for each, and what it returns need not live
  /// longer than until the next. For checkpoints of which no more than an expert should be in memory unpacked.
  template <class Source>
    requires std::convertible_to < std::invoke_result_t<Source&, index>,
  const params& > packed_experts(const Expert& expert, index count, Source&& source) : expert_(expert), count_(count) {
    for (index e = 0; e < count_; ++e) {
      const params& p = source(e);
      check(p, e);
      if (e == 0) make_room();
      pack(p, e);
    }
  }

  [[nodiscard]] const Expert& expert() const { return expert_; }
  [[nodiscard]] index count() const { return count_; }
  [[nodiscard]] index hidden() const { return has_input_projection ? output_.depth : 0; }
  /// Bytes of the weights of all experts; a batch reads those of the experts it uses.
  [[nodiscard]] index bytes() const { return weights_.size() * static_cast<index>(sizeof(Storage)); }

  /// The B of expert e's products, and the shape of C but for its rows.
  [[nodiscard]] product input_projection(index e) const { return operand(input_, weights_.row(e), biases_.row(e)); }
  [[nodiscard]] product output_projection(index e) const {
    return operand(output_, weights_.row(e) + input_.weights, biases_.row(e) + 2 * input_.cols);
  }

 private:
  using arch = xsimd::default_arch;

  /// Of one projection; the same for all experts.
  struct shape {
    index depth = 0, cols = 0;
    bool paired = false, has_bias = false, has_bias_pair = false;
    index weights = 0;  // elements

    shape() = default;
    explicit shape(const kernels::product<T>& from)
        : depth(from.depth),
          cols(from.cols),
          paired(from.paired),
          has_bias(from.bias != nullptr),
          has_bias_pair(from.bias_pair != nullptr) {
      constexpr index line = static_cast<index>(alignment / sizeof(Storage));
      weights = (kernels::packed_size<arch, T>(cols, depth, paired) + line - 1) / line * line;
      weights = (std::max)(weights, line);  // panels of no depth have a place, too
    }
    friend bool operator==(const shape&, const shape&) = default;
  };

  void check(const params& p, index e) {
    const index model = model_of(expert_), outputs = outputs_of(expert_);
    const kernels::product<T> output = expert_.output_projection(p);
    shape input_shape;
    index hidden = model;
    if constexpr (has_input_projection) {
      const kernels::product<T> input = expert_.input_projection(p);
      input_shape = shape(input), hidden = input.cols;
      if (input.depth != model)
        refuse("packed_layer: expert ", e, " takes ", input.depth, " values, the layer has model = ", model);
      if (input.paired != detail::activates_two<Expert>)
        refuse("packed_layer: the input projection of expert ", e, " has ", input.paired ? 2 : 1,
               " matrices, its activate takes ", input.paired ? 1 : 2, " sums");
      check_range(input, input.b, e);
      if (input.paired) check_range(input, input.b_pair, e);
    }
    if (output.depth != hidden && (has_input_projection || output.depth != 0))  // of depth 0 it reads no input
      refuse("packed_layer: the output projection of expert ", e, " takes ", output.depth, " values, there are ",
             hidden);
    if (output.cols != outputs)
      refuse("packed_layer: expert ", e, " gives ", output.cols, " values, the layer has outputs = ", outputs);
    check_range(output, output.b, e);
    if (e == 0) input_ = input_shape, output_ = shape(output);
    if (input_shape != input_ || shape(output) != output_)
      refuse("packed_layer: expert ", e, " has hidden = ", hidden,
             " and other biases or sizes than expert 0, which has ", output_.depth);
  }

  /// Refuses a finite weight that Storage turns into an infinity.
  static void check_range(const kernels::product<T>& p, const T* b, index e) {
    if constexpr (!std::is_same_v<Storage, T>)
      for (index j = 0; j < p.cols; ++j)
        for (index l = 0; l < p.depth; ++l) {
          const T weight = b[l * p.b_depth_stride + j * p.b_col_stride];
          if (kernels::is_finite(weight) && !kernels::is_finite(static_cast<T>(Storage(weight))))
            refuse("packed_layer: expert ", e, " has a weight of ", weight,
                   ", beyond the largest number of its storage");
        }
  }

  void make_room() {
    weights_.resize(count_, input_.weights + output_.weights);
    biases_.resize(count_, 2 * (input_.cols + output_.cols));
  }

  void pack(const params& p, index e) {
    if constexpr (has_input_projection) pack(expert_.input_projection(p), weights_.row(e), biases_.row(e));
    pack(expert_.output_projection(p), weights_.row(e) + input_.weights, biases_.row(e) + 2 * input_.cols);
  }
  static void pack(const kernels::product<T>& from, Storage* weights, T* biases) {
    kernels::pack_panels<arch>(from, weights);
    if (from.bias) std::copy_n(from.bias, from.cols, biases);
    if (from.bias_pair) std::copy_n(from.bias_pair, from.cols, biases + from.cols);
  }

  static product operand(const shape& s, const Storage* weights, const T* biases) {
    product p;
    p.depth = s.depth, p.cols = s.cols, p.paired = s.paired;
    p.panels = weights;
    if (s.has_bias) p.bias = biases;
    if (s.has_bias_pair) p.bias_pair = biases + s.cols;
    return p;
  }

  HEADGATE_NO_UNIQUE_ADDRESS Expert expert_;
  index count_ = 0;
  shape input_, output_;
  scratch<Storage> weights_;  // (experts x panels of both projections)
  scratch<T> biases_;         // (experts x room for both biases of both projections)
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
