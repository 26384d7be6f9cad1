// SPDX-License-Identifier: BSD-3-Clause
// Llama 4 Scout and Maverick (Meta 2025; github.com/meta-llama/llama-models, models/llama4/moe.py).
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

/// The best logit (k = 1); its sigmoid multiplies the expert's input, not its output. One shared expert.
struct llama4 {
  static constexpr std::string_view name = "Llama 4";
  static constexpr std::array<std::string_view, 2> model_types{"llama4_text", "llama4"};

  struct shape {
    index model = 5120;
    index hidden = 8192;
    index experts = 16;
    index k = 1;
  };

  template <class T>
  using gate = headgate::gate<linear_head<T>, logits_score, top_k<>, sigmoid_of_selected>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return moe_policies<gate<T>, swiglu_expert<T>, swiglu_expert<T>>{
        .gate = {.head = {.model = s.model, .experts = s.experts}, .select = {.k = s.k}},
        .expert = {.model = s.model, .hidden = s.hidden},
        .shared = {.model = s.model, .hidden = s.hidden},
        .options = {.weight_on = weight_on::input}};
  }

  [[nodiscard]] static shape read(const model_config& config, index /*layer*/) {
    const model_config c = config.inside("text_config");
    expect(c, "hidden_act", "silu");
    return {.model = c.integer("hidden_size"),
            .hidden = c.integer("intermediate_size"),
            .experts = c.integer("num_local_experts"),
            .k = c.integer("num_experts_per_tok")};
  }

  [[nodiscard]] static std::array<std::string, 2> prefixes(index layer) {
    return {sentence("model.layers.", layer, ".feed_forward."),
            sentence("language_model.model.layers.", layer, ".feed_forward.")};
  }

  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, whole("router.weight", s.experts, s.model));
    glu_tensors_transposed(p.experts, "experts.gate_up_proj", "experts.down_proj", s.model, s.hidden, f);
    glu_tensors(p.shared, "shared_expert.", proj_names, s.model, s.hidden, f);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
