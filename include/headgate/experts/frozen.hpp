// SPDX-License-Identifier: BSD-3-Clause
// An expert whose parameters are kept, saved and used, but not trained: the base under LoRA experts.
#pragma once

#include <headgate/concepts/expert_policy.hpp>
#include <headgate/config.hpp>
#include <headgate/core/matrix.hpp>
#include <headgate/core/random.hpp>
#include <headgate/experts/one_block.hpp>

#include <span>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Computes what Expert computes and passes gradients to its input; its parameters get none, and optimisers do not see
/// them. Files do.
template <class Expert>
struct frozen {
  static_assert(grouped_expert<Expert>,
                "frozen: Expert does not model headgate::grouped_expert (docs/writing-an-expert.md)");

  using scalar = typename Expert::scalar;
  using params = typename Expert::params;
  using cache = typename Expert::cache;
  static constexpr auto fields = Expert::fields;
  static constexpr bool frozen_parameters = true;

  HEADGATE_NO_UNIQUE_ADDRESS Expert expert{};

  [[nodiscard]] index model() const { return model_of(expert); }
  [[nodiscard]] index outputs() const { return outputs_of(expert); }
  void check() const {
    if constexpr (requires { expert.check(); }) expert.check();
  }
  void check(const params& p) const {
    if constexpr (requires { expert.check(p); }) expert.check(p);
  }
  [[nodiscard]] params init(std::mt19937_64& generator) const { return expert.init(generator); }
  [[nodiscard]] index parameterised(index experts) const { return parameterised_of(expert, experts); }
  [[nodiscard]] bool returns_input(index place) const requires requires(const Expert& e) { e.returns_input(place); }
  { return expert.returns_input(place); }

  template <class Pass>
  void forward(std::span<const params> p, const row_groups& g, in<scalar> x, out<scalar> y, cache& c,
               const Pass& pass) const {
    expert.forward(p, g, x, y, c, pass);
  }
  template <class Pass>
  void backward(std::span<const params> p, const row_groups& g, in<scalar> x, in<scalar> dy, cache& c, out<scalar> dx,
                std::span<params>, const Pass& pass) const {
    expert.backward(p, g, x, dy, c, dx, std::span<params>{}, pass);
  }

  /// What packed_layer takes apart, where Expert has it (concept `packable_expert`).
  [[nodiscard]] auto input_projection(const params& p) const requires requires(const Expert& e) {
    e.input_projection(p);
  }
  { return expert.input_projection(p); }
  [[nodiscard]] auto output_projection(const params& p) const requires packable_expert<Expert> {
    return expert.output_projection(p);
  }
  template <class... V>
  [[nodiscard]] auto activate(const V&... sums) const requires requires(const Expert& e) {
    e.activate(sums...);
  }
  { return expert.activate(sums...); }

  void forward(const params& p, in<scalar> x, out<scalar> y, cache& c) const { expert.forward(p, x, y, c); }
  void backward(const params& p, in<scalar> x, in<scalar> dy, cache& c, out<scalar> dx, params& dp) const {
    backward_block(*this, p, x, dy, c, dx, dp);
  }
};

template <class Expert>
frozen(Expert) -> frozen<Expert>;

}  // namespace HEADGATE_ABI
}  // namespace headgate
