// SPDX-License-Identifier: BSD-3-Clause
// LongCat-Flash (Meituan 2025, arXiv:2509.01322, section 2.1).
#pragma once

#include <headgate/config.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/experts/with_free_experts.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/models/expect.hpp>
#include <headgate/models/expert_tensors.hpp>
#include <headgate/models/family.hpp>

#include <array>
#include <string>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Softmax over all experts, identity ones included; chosen by probability + bias; weights are the probabilities times
/// `scale`, not renormalised. The last `identities` experts return their input.
struct longcat_flash {
  static constexpr std::string_view name = "LongCat-Flash";
  static constexpr std::array<std::string_view, 1> model_types{"longcat_flash"};

  struct shape {
    index model = 6144;
    index hidden = 2048;
    index experts = 512;  ///< with parameters
    index identities = 256;
    index k = 12;
    double scale = 6;
  };

  template <class T>
  using gate = headgate::gate<linear_head<T>, softmax, adjusted<selection_bias<T>, top_k<>>, scaled<T, raw>>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return moe_policies<gate<T>, with_free_experts<swiglu_expert<T>>>{
        .gate = {.head = {.model = s.model, .experts = s.experts + s.identities},
                 .select = {.select = {.k = s.k}},
                 .weigh = {.factor = static_cast<T>(s.scale)}},
        .expert = {.expert = {.model = s.model, .hidden = s.hidden}, .identities = s.identities}};
  }

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    expect(c, "hidden_act", "silu");
    expect(c, "zero_expert_type", "identity");
    expect_off(c, "router_bias");
    return {.model = c.integer("hidden_size"),
            .hidden = c.integer({"expert_ffn_hidden_size", "moe_intermediate_size"}),
            .experts = c.integer("n_routed_experts"),
            .identities = c.integer("zero_expert_num", 0),
            .k = c.integer({"moe_topk", "num_experts_per_tok"}),
            .scale = c.number("routed_scaling_factor", 1.0)};
  }

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("model.layers.", layer, ".mlp.")};
  }

  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    const index all = s.experts + s.identities;
    f(p.gate.head.weight, whole("router.classifier.weight", all, s.model));
    f(p.gate.select.adjust.selection_bias, vector_of("router.e_score_correction_bias", all));
    glu_tensors_of_each(p.experts, proj_names, s.model, s.hidden, f);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
