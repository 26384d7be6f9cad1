// SPDX-License-Identifier: BSD-3-Clause
// DBRX (Databricks 2024; github.com/databricks/dbrx, model/modeling_dbrx.py).
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

/// Softmax over all experts, the k best, divided by their L_p norm (p = 1), or not if `norm` is 0. A config.json that says null
/// for the norm means not; this reader takes it for 1, as if nothing were said: no released model says null.
struct dbrx {
  static constexpr std::string_view name = "DBRX";
  static constexpr std::array<std::string_view, 1> model_types{"dbrx"};

  struct shape {
    index model = 6144;
    index hidden = 10752;
    index experts = 16;
    index k = 4;
    double norm = 1;
  };

  template <class T>
  using gate = headgate::gate<linear_head<T>, softmax, top_k<>, switched<norm_divided<T>>>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return moe_policies<gate<T>, swiglu_expert<T>>{
        .gate = {.head = {.model = s.model, .experts = s.experts},
                 .select = {.k = s.k},
                 .weigh = {.weigh = {.p = static_cast<T>(s.norm > 0 ? s.norm : 1)}, .on = s.norm > 0}},
        .expert = {.model = s.model, .hidden = s.hidden}};
  }

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    expect(c, "ffn_config.ffn_act_fn.name", "silu");
    return {.model = c.integer("d_model"),
            .hidden = c.integer("ffn_config.ffn_hidden_size"),
            .experts = c.integer("ffn_config.moe_num_experts"),
            .k = c.integer("ffn_config.moe_top_k"),
            .norm = c.number("ffn_config.moe_normalize_expert_weights", 1.0)};
  }

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("transformer.blocks.", layer, ".ffn.")};
  }

  /// w1 and v1 [experts * hidden, model] lie as ours do; w2 of the same shape is down transposed.
  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, whole("router.layer.weight", s.experts, s.model));
    const auto of_expert = [&](const char* tensor, index e) {
      return whole(sentence("experts.mlp.", tensor), s.experts * s.hidden, s.model).middle_rows(e * s.hidden, s.hidden);
    };
    for (index e = 0; e < s.experts; ++e) {
      f(p.experts[e].gate, of_expert("w1", e));
      f(p.experts[e].up, of_expert("v1", e));
      f(p.experts[e].down, of_expert("w2", e).transposed());
    }
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
