// SPDX-License-Identifier: BSD-3-Clause
// DeepSeek-V3 and R1 (DeepSeek-AI 2024, arXiv:2412.19437, section 2.1.2), and the families with its block: Kimi K2,
// GLM-4.5, dots.llm1.
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

/// s = sigmoid(z) (eq. 15). Chosen by s + bias (eq. 16): the `kept_groups` groups whose two best sum highest, the others
/// masked with -infinity, then the k best. Weights are s without the bias, divided by their sum + 1e-20, times `scale`.
///
/// The authors' inference code has no epsilon; the other public code has 1e-20, which no sum above 1e-13 notices.
/// Kimi K2 and GLM-4.5 have one group.
struct deepseek_v3 {
  static constexpr std::string_view name = "DeepSeek-V3";
  static constexpr std::array<std::string_view, 4> model_types{"deepseek_v3", "kimi_k2", "glm4_moe", "dots1"};

  struct shape {
    index model = 7168;
    index hidden = 2048;
    index experts = 256;
    index k = 8;
    index groups = 8;
    index kept_groups = 4;
    double scale = 2.5;
    bool renormalise = true;
    index shared_hidden = 2048;
  };

  template <class T>
  using gate = headgate::gate<linear_head<T>, sigmoid_score,
                              adjusted<selection_bias<T>, adjusted<group_limit<top_two_sum>, top_k<>>>,
                              scaled<T, switched<renormalised_plus<T>>>>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return moe_policies<gate<T>, swiglu_expert<T>, swiglu_expert<T>>{
        .gate = {.head = {.model = s.model, .experts = s.experts},
                 .select = {.select = {.adjust = {.groups = s.groups,
                                                  .keep = s.kept_groups,
                                                  .masked = group_mask::minus_infinity},
                                       .select = {.k = s.k}}},
                 .weigh = {.weigh = {.weigh = {.epsilon = T(1e-20)}, .on = s.renormalise},
                           .factor = static_cast<T>(s.scale)}},
        .expert = {.model = s.model, .hidden = s.hidden},
        .shared = {.model = s.model, .hidden = s.shared_hidden}};
  }

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    expect(c, "hidden_act", "silu");
    if (c.text("scoring_func", "sigmoid") != "noaux_tc")
      expect(c, "scoring_func", "sigmoid");  // dots.llm1's word for it
    const index hidden = c.integer("moe_intermediate_size");
    return {.model = c.integer("hidden_size"),
            .hidden = hidden,
            .experts = c.integer({"n_routed_experts", "num_local_experts"}),
            .k = c.integer("num_experts_per_tok"),
            .groups = c.integer("n_group", 1),
            .kept_groups = c.integer("topk_group", 1),
            .scale = c.number("routed_scaling_factor", 1.0),
            .renormalise = c.flag("norm_topk_prob", true),
            .shared_hidden = hidden * at_least_one(c, "n_shared_experts")};
  }

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("model.layers.", layer, ".mlp.")};
  }

  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, whole("gate.weight", s.experts, s.model));
    f(p.gate.select.adjust.selection_bias, vector_of("gate.e_score_correction_bias", s.experts));
    glu_tensors_of_each(p.experts, proj_names, s.model, s.hidden, f);
    glu_tensors(p.shared, "shared_experts.", proj_names, s.model, s.shared_hidden, f);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
