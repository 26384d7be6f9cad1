// SPDX-License-Identifier: BSD-3-Clause
// Qwen1.5-MoE and Qwen2-MoE (Yang et al. 2024, arXiv:2407.10671, section 2.2.2).
#pragma once

#include <headgate/config.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/sigmoid_gated.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/models/expect.hpp>
#include <headgate/models/expert_tensors.hpp>
#include <headgate/models/family.hpp>

#include <array>
#include <string>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Softmax over all experts, the k best, renormalised only if `renormalise` (the released models: no). The shared expert
/// has a sigmoid gate of its own.
struct qwen2_moe {
  static constexpr std::string_view name = "Qwen2-MoE";
  static constexpr std::array<std::string_view, 1> model_types{"qwen2_moe"};

  struct shape {
    index model = 3584;
    index hidden = 2560;
    index experts = 64;
    index k = 8;
    index shared_hidden = 20480;
    bool renormalise = false;
  };

  template <class T>
  using gate = headgate::gate<linear_head<T>, softmax, top_k<>, switched<renormalised>>;
  template <class T>
  using shared = sigmoid_gated<swiglu_expert<T>>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return moe_policies<gate<T>, swiglu_expert<T>, shared<T>>{
        .gate = {.head = {.model = s.model, .experts = s.experts},
                 .select = {.k = s.k},
                 .weigh = {.on = s.renormalise}},
        .expert = {.model = s.model, .hidden = s.hidden},
        .shared = {.expert = {.model = s.model, .hidden = s.shared_hidden}}};
  }

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    expect(c, "hidden_act", "silu");
    return {.model = c.integer("hidden_size"),
            .hidden = c.integer("moe_intermediate_size"),
            .experts = c.integer({"num_experts", "num_local_experts"}),
            .k = c.integer("num_experts_per_tok"),
            .shared_hidden = c.integer("shared_expert_intermediate_size"),
            .renormalise = c.flag("norm_topk_prob", false)};
  }

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("model.layers.", layer, ".mlp.")};
  }

  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, whole("gate.weight", s.experts, s.model));
    glu_tensors_of_each(p.experts, proj_names, s.model, s.hidden, f);
    glu_tensors(p.shared.expert, "shared_expert.", proj_names, s.model, s.shared_hidden, f);
    f(p.shared.gate_weight, whole("shared_expert_gate.weight", 1, s.model));
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
