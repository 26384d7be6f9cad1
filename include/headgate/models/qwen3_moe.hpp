// SPDX-License-Identifier: BSD-3-Clause
// Qwen3-MoE (Yang et al. 2025, arXiv:2505.09388, section 2).
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

/// Softmax over all experts, the k best, renormalised if `renormalise` (the released models: yes). No shared expert.
struct qwen3_moe {
  static constexpr std::string_view name = "Qwen3-MoE";
  static constexpr std::array<std::string_view, 1> model_types{"qwen3_moe"};

  struct shape {
    index model = 2048;
    index hidden = 768;
    index experts = 128;
    index k = 8;
    bool renormalise = true;
  };

  template <class T>
  using gate = headgate::gate<linear_head<T>, softmax, top_k<>, switched<renormalised>>;

  template <class T>
  [[nodiscard]] static auto policies(const auto& s) {
    return moe_policies<gate<T>, swiglu_expert<T>>{.gate = {.head = {.model = s.model, .experts = s.experts},
                                                            .select = {.k = s.k},
                                                            .weigh = {.on = s.renormalise}},
                                                   .expert = {.model = s.model, .hidden = s.hidden}};
  }

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    expect(c, "hidden_act", "silu");
    return {.model = c.integer("hidden_size"),
            .hidden = c.integer("moe_intermediate_size"),
            .experts = c.integer({"num_experts", "num_local_experts"}),
            .k = c.integer("num_experts_per_tok"),
            .renormalise = c.flag("norm_topk_prob", false)};
  }

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("model.layers.", layer, ".mlp.")};
  }

  template <class Parameters, class F>
  static void tensors(const auto& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, whole("gate.weight", s.experts, s.model));
    glu_tensors_of_each(p.experts, proj_names, s.model, s.hidden, f);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
