// SPDX-License-Identifier: BSD-3-Clause
// The shared expert of a packed layer: the first term of every token's sum.
#pragma once

#include <headgate/concepts/executor.hpp>
#include <headgate/config.hpp>
#include <headgate/core/array.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/scratch.hpp>
#include <headgate/core/view.hpp>
#include <headgate/experts/packed_experts.hpp>
#include <headgate/experts/packed_pass.hpp>
#include <headgate/kernels/combined_product.hpp>
#include <headgate/routing/groups.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

namespace detail {

/// What is packed of a shared expert: the expert itself, or the one behind its gate (`sigmoid_gated`).
template <class Shared>
struct behind_gate {
  static constexpr bool has_gate = false;
  using expert = Shared;
};
template <class Shared>
  requires requires(const typename Shared::params& p) { Shared::gate_of(p); }
struct behind_gate<Shared> {
  static constexpr bool has_gate = true;
  using expert = typename Shared::gated_expert;
};

}  // namespace detail

/// One packed expert that sees every token: its rows are written where the sum starts or, if it has a gate of its own, added
/// to zero with the gate's weight.
template <class Shared, class Storage>
class packed_shared {
  static constexpr bool has_gate = detail::behind_gate<Shared>::has_gate;
  using Expert = typename detail::behind_gate<Shared>::expert;

 public:
  using T = typename Shared::scalar;

  /// Memory of a pass.
  struct pass_memory {
    packed_pass<Expert, Storage> products;
    scratch<T> logits, weights;  // (1 x tokens), of the gate
  };

  template <executor Executor>
  packed_shared(const Shared& shared, const typename Shared::params& p, const Executor& executor)
      : expert_([&] {
          if constexpr (has_gate)
            return packed_experts<Expert, Storage>(shared.expert, std::span(&p.expert, 1), executor);
          else
            return packed_experts<Expert, Storage>(shared, std::span(&p, 1), executor);
        }()) {
    if constexpr (has_gate) {
      gate_ = Shared::gate_of(p);
      if (gate_.rows() != 1 || gate_.cols() != model_of(shared))
        refuse("packed_layer: the gate of the shared expert is ", gate_.rows(), " x ", gate_.cols(),
               ", it must be 1 x ", model_of(shared));
    }
  }

  [[nodiscard]] index bytes() const { return expert_.bytes(); }
  /// Bytes of a pass over so many tokens.
  [[nodiscard]] index pass_bytes(index tokens) const {
    return packed_pass<Expert, Storage>::bytes(expert_, tokens, 1) +
           (has_gate ? 2 * tokens * static_cast<index>(sizeof(T)) : 0);
  }

  /// Lists the products of all rows of x, as `packed_pass::prepare`.
  template <executor Executor>
  void prepare(view<const T> x, array<kernels::combined_term<T, Storage>>& terms, pass_memory& memory,
               [[maybe_unused]] const Executor& executor) const {
    const index offsets[2] = {0, x.rows};
    const row_groups all{1, offsets};
    const T* weights = nullptr;
    if constexpr (has_gate) {
      memory.logits.resize(1, x.rows), memory.weights.resize(1, x.rows);
      Shared::weigh_rows(gate_.data(), all, x, memory.logits.data(), memory.weights.data(), executor);
      weights = memory.weights.data();
    }
    memory.products.prepare(expert_, all, x, weights, terms);
  }

 private:
  packed_experts<Expert, Storage> expert_;
  matrix<T> gate_;  // (1 x model), or 0 x 0
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
