// SPDX-License-Identifier: BSD-3-Clause
// DeepSeek-V2 (DeepSeek-AI 2024, arXiv:2405.04434, section 2.2).
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

/// Softmax over all experts; of the groups the `kept_groups` with the largest single score, the others masked with zero;
/// of what is left the k best, not renormalised, times `scale`. One group is the greedy choice. With `renormalise` the
/// weights are divided by their sum + 1e-20 and not scaled, as the authors' code has it; no released model does that.
struct deepseek_v2 {
  static constexpr std::string_view name = "DeepSeek-V2";
  static constexpr std::array<std::string_view, 1> model_types{"deepseek_v2"};

  struct shape {
    index model = 5120;
    index hidden = 1536;
    index experts = 160;
    index k = 6;
    index groups = 8;
    index kept_groups = 3;
    double scale = 16;
    bool renormalise = false;
    index shared_hidden = 3072;
  };

  template <class T>
  using gate = headgate::gate<linear_head<T>, softmax, adjusted<group_limit<group_max>, top_k<>>,
                              scaled<T, switched<renormalised_plus<T>>>>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return moe_policies<gate<T>, swiglu_expert<T>, swiglu_expert<T>>{
        .gate = {.head = {.model = s.model, .experts = s.experts},
                 .select = {.adjust = {.groups = s.groups, .keep = s.kept_groups, .masked = group_mask::zero},
                            .select = {.k = s.k}},
                 .weigh = {.weigh = {.weigh = {.epsilon = T(1e-20)}, .on = s.renormalise},
                           .factor = s.renormalise ? T{1} : static_cast<T>(s.scale)}},
        .expert = {.model = s.model, .hidden = s.hidden},
        .shared = {.model = s.model, .hidden = s.shared_hidden}};
  }

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    expect(c, "hidden_act", "silu");
    expect(c, "scoring_func", "softmax");
    const bool grouped = c.text("topk_method", "greedy") == "group_limited_greedy";
    if (!grouped) expect(c, "topk_method", "greedy");
    const index hidden = c.integer("moe_intermediate_size");
    return {.model = c.integer("hidden_size"),
            .hidden = hidden,
            .experts = c.integer({"n_routed_experts", "num_local_experts"}),
            .k = c.integer("num_experts_per_tok"),
            .groups = grouped ? c.integer("n_group") : 1,
            .kept_groups = grouped ? c.integer("topk_group") : 1,
            .scale = c.number("routed_scaling_factor", 1.0),
            .renormalise = c.flag("norm_topk_prob", false) && c.integer("num_experts_per_tok") > 1,
            .shared_hidden = hidden * at_least_one(c, "n_shared_experts")};
  }

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("model.layers.", layer, ".mlp.")};
  }

  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, whole("gate.weight", s.experts, s.model));
    glu_tensors_of_each(p.experts, proj_names, s.model, s.hidden, f);
    glu_tensors(p.shared, "shared_experts.", proj_names, s.model, s.shared_hidden, f);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
