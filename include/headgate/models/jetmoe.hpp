// SPDX-License-Identifier: BSD-3-Clause
// JetMoE (Shen et al. 2024, arXiv:2404.07413, section 2).
#pragma once

#include <headgate/config.hpp>
#include <headgate/experts/constant.hpp>
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

/// The k best logits, a softmax over those; one bias for the layer's output, added once after the combination.
struct jetmoe {
  static constexpr std::string_view name = "JetMoE";
  static constexpr std::array<std::string_view, 1> model_types{"jetmoe"};

  struct shape {
    index model = 2048;
    index hidden = 5632;
    index experts = 8;
    index k = 2;
  };

  template <class T>
  using gate = topk_gate<T>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return moe_policies<gate<T>, swiglu_expert<T>, constant_expert<T>>{
        .gate = {.head = {.model = s.model, .experts = s.experts}, .select = {.k = s.k}},
        .expert = {.model = s.model, .hidden = s.hidden},
        .shared = {.model = s.model, .outputs = s.model}};
  }

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    expect(c, "activation_function", "silu");
    return {.model = c.integer("hidden_size"),
            .hidden = c.integer({"intermediate_size", "ffn_hidden_size"}),
            .experts = c.integer({"num_local_experts", "moe_num_experts"}),
            .k = c.integer({"num_experts_per_tok", "moe_top_k"})};
  }

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("model.layers.", layer, ".mlp.")};
  }

  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, whole("router.layer.weight", s.experts, s.model));
    glu_tensors_stacked(p.experts, "input_linear.weight", "output_linear.weight", s.model, s.hidden, f);
    f(p.shared.bias, vector_of("bias", s.model));
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
