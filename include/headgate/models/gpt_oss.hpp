// SPDX-License-Identifier: BSD-3-Clause
// gpt-oss (OpenAI 2025, arXiv:2508.10925, section 2.2).
#pragma once

#include <headgate/activations/clamped_swiglu.hpp>
#include <headgate/config.hpp>
#include <headgate/core/biases.hpp>
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

/// Logits with a bias, the k best, a softmax over those. Experts with biases and the clamped SwiGLU: gate from above, up on
/// both sides, alpha = 1.702, up + 1. On disk gate and up are the even and the odd columns of one matrix.
///
/// Released checkpoints hold 4-bit blocks (MXFP4), which are refused: convert them to bf16 first.
struct gpt_oss {
  static constexpr std::string_view name = "gpt-oss";
  static constexpr std::array<std::string_view, 1> model_types{"gpt_oss"};

  struct shape {
    index model = 2880;
    index hidden = 2880;
    index experts = 32;
    index k = 4;
    double limit = 7;
  };

  template <class T>
  using gate =
      headgate::gate<linear_head<T, dynamic, dynamic, biases::used>, logits_score, top_k<>, softmax_of_selected>;
  template <class T>
  using expert = glu_expert<T, clamped_swiglu, dynamic, dynamic, biases::used>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return moe_policies<gate<T>, expert<T>>{
        .gate = {.head = {.model = s.model, .experts = s.experts}, .select = {.k = s.k}},
        .expert = {
            .model = s.model, .hidden = s.hidden, .activation = {.limit = s.limit, .alpha = 1.702, .up_offset = 1}}};
  }

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    expect(c, "hidden_act", "silu");
    return {.model = c.integer("hidden_size"),
            .hidden = c.integer("intermediate_size"),
            .experts = c.integer("num_local_experts"),
            .k = c.integer({"num_experts_per_tok", "experts_per_token"}),
            .limit = c.number("swiglu_limit", 7.0)};
  }

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("model.layers.", layer, ".mlp.")};
  }

  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, whole("router.weight", s.experts, s.model));
    f(p.gate.head.bias, vector_of("router.bias", s.experts));
    for (index e = 0; e < s.experts; ++e) {
      auto& expert = p.experts[e];
      const tensor_part both = stack_of("experts.gate_up_proj", s.experts, s.model, 2 * s.hidden, e).transposed();
      f(expert.gate, both.every_other_row(0));
      f(expert.up, both.every_other_row(1));
      const tensor_part bias = row_of("experts.gate_up_proj_bias", s.experts, 2 * s.hidden, e).transposed();
      f(expert.gate_bias, bias.every_other_row(0).transposed());
      f(expert.up_bias, bias.every_other_row(1).transposed());
      f(expert.down, stack_of("experts.down_proj", s.experts, s.hidden, s.model, e).transposed());
      f(expert.down_bias, row_of("experts.down_proj_bias", s.experts, s.model, e));
    }
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
