// SPDX-License-Identifier: BSD-3-Clause
// Granite 3 MoE (IBM 2024): JetMoE's router and experts without the output bias.
#pragma once

#include <headgate/config.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/models/expect.hpp>
#include <headgate/models/expert_tensors.hpp>
#include <headgate/models/family.hpp>

#include <array>
#include <string>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// The k best logits, a softmax over those. The residual multiplier of the model is applied outside the block.
struct granite_moe {
  static constexpr std::string_view name = "Granite MoE";
  static constexpr std::array<std::string_view, 1> model_types{"granitemoe"};

  struct shape {
    index model = 1536;
    index hidden = 512;
    index experts = 40;
    index k = 8;
  };

  template <class T>
  using gate = topk_gate<T>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return moe_policies<gate<T>, swiglu_expert<T>>{
        .gate = {.head = {.model = s.model, .experts = s.experts}, .select = {.k = s.k}},
        .expert = {.model = s.model, .hidden = s.hidden}};
  }

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    expect(c, "hidden_act", "silu");
    return {.model = c.integer("hidden_size"),
            .hidden = c.integer("intermediate_size"),
            .experts = c.integer("num_local_experts"),
            .k = c.integer("num_experts_per_tok")};
  }

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("model.layers.", layer, ".block_sparse_moe.")};
  }

  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, whole("router.layer.weight", s.experts, s.model));
    glu_tensors_stacked(p.experts, "input_linear.weight", "output_linear.weight", s.model, s.hidden, f);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
