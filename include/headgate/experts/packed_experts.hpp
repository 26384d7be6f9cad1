// SPDX-License-Identifier: BSD-3-Clause
// The weights of a layer's experts as packed panels: made once, never changed.
#pragma once

#include <headgate/concepts/executor.hpp>
#include <headgate/concepts/expert_policy.hpp>
#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/kernels/panels.hpp>
#include <headgate/kernels/product.hpp>
#include <headgate/kernels/storage.hpp>

#include <span>

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

  packed_experts() = default;

  /// Packs the experts of p, each a task of the executor's.
  template <executor Executor>
  packed_experts(Expert expert, std::span<const params> p, const Executor& executor)
      : expert_(std::move(expert)), count_(static_cast<index>(p.size())) {
    if (p.empty()) return;
    input_ = shape_of<0>(p[0]), output_ = shape_of<1>(p[0]);
    weights_.resize(count_, input_.weights + output_.weights);
    biases_.resize(count_, input_.biases + output_.biases);
    executor.run(count_, [&](index e, index) {
      const params& of_expert = p[static_cast<std::size_t>(e)];
      if constexpr (has_input_projection)
        pack(expert_.input_projection(of_expert), input_, weights_.row(e), biases_.row(e));
      pack(expert_.output_projection(of_expert), output_, weights_.row(e) + input_.weights,
           biases_.row(e) + input_.biases);
    });
  }

  [[nodiscard]] const Expert& expert() const { return expert_; }
  [[nodiscard]] index count() const { return count_; }
  [[nodiscard]] index hidden() const { return has_input_projection ? output_.depth : 0; }
  /// Bytes of the weights of all experts; a batch reads those of the experts it uses.
  [[nodiscard]] index bytes() const { return weights_.size() * static_cast<index>(sizeof(Storage)); }

  /// The B of expert e's products, and the shape of C but for its rows.
  [[nodiscard]] product input_projection(index e) const { return operand(input_, weights_.row(e), biases_.row(e)); }
  [[nodiscard]] product output_projection(index e) const {
    return operand(output_, weights_.row(e) + input_.weights, biases_.row(e) + input_.biases);
  }

 private:
  using arch = xsimd::default_arch;

  struct shape {
    index depth = 0, cols = 0;
    bool paired = false, has_bias = false;
    index weights = 0, biases = 0;  // elements
  };

  template <int Which>
  shape shape_of(const params& p) const {
    if constexpr (Which == 0 && !has_input_projection) {
      return {};
    } else {
      const kernels::product<T> from = [&] {
        if constexpr (Which == 0)
          return expert_.input_projection(p);
        else
          return expert_.output_projection(p);
      }();
      shape s{from.depth, from.cols, from.paired, from.bias != nullptr, 0, 0};
      constexpr index line = static_cast<index>(alignment / sizeof(Storage));
      s.weights = (kernels::packed_size<arch, T>(s.cols, s.depth, s.paired) + line - 1) / line * line;
      s.biases = s.has_bias ? s.cols * (s.paired ? 2 : 1) : 0;
      return s;
    }
  }

  static void pack(const kernels::product<T>& from, const shape& s, Storage* weights, T* biases) {
    kernels::pack_panels<arch>(from, weights);
    if (!s.has_bias) return;
    std::copy_n(from.bias, s.cols, biases);
    if (s.paired) std::copy_n(from.bias_pair, s.cols, biases + s.cols);
  }

  static product operand(const shape& s, const Storage* weights, const T* biases) {
    product p;
    p.depth = s.depth, p.cols = s.cols, p.paired = s.paired;
    p.panels = weights;
    if (s.has_bias) p.bias = biases;
    if (s.has_bias && s.paired) p.bias_pair = biases + s.cols;
    return p;
  }

  HEADGATE_NO_UNIQUE_ADDRESS Expert expert_{};
  index count_ = 0;
  shape input_, output_;
  scratch<Storage> weights_;  // (experts x panels of both projections)
  scratch<T> biases_;         // (experts x biases of both projections)
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
