// SPDX-License-Identifier: BSD-3-Clause
// Phi-3.5-MoE (Abdin et al. 2024, arXiv:2404.14219, section 2; SparseMixer-v2: Liu et al. 2023, arXiv:2310.00811).
#pragma once

#include <headgate/config.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/gates/head/linear_head.hpp>
#include <headgate/gates/whole/sparsemixer.hpp>
#include <headgate/models/expect.hpp>
#include <headgate/models/expert_tensors.hpp>
#include <headgate/models/family.hpp>

#include <array>
#include <string>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The SparseMixer gate: two rounds of argmax, each weighted by a softmax over what lies near its maximum; the two weights
/// do not sum to one.
struct phi3_5_moe {
  static constexpr std::string_view name = "Phi-3.5-MoE";
  static constexpr std::array<std::string_view, 1> model_types{"phimoe"};

  struct shape {
    index model = 4096;
    index hidden = 6400;
    index experts = 16;
    double jitter = 0.01;
  };

  template <class T>
  using gate = sparsemixer<linear_head<T>>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return moe_policies<gate<T>, swiglu_expert<T>>{
        .gate = {.head = {.model = s.model, .experts = s.experts}, .jitter = static_cast<T>(s.jitter)},
        .expert = {.model = s.model, .hidden = s.hidden}};
  }

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    expect(c, "hidden_act", "silu");
    expect(c, "num_experts_per_tok", 2);
    return {.model = c.integer("hidden_size"),
            .hidden = c.integer("intermediate_size"),
            .experts = c.integer("num_local_experts"),
            .jitter = c.number("router_jitter_noise", 0.01)};
  }

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("model.layers.", layer, ".block_sparse_moe.")};
  }

  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, whole("gate.weight", s.experts, s.model));
    glu_tensors_of_each(p.experts, w_names, s.model, s.hidden, f);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
