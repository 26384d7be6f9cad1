// SPDX-License-Identifier: BSD-3-Clause
// ERNIE 4.5 (Baidu 2025, technical report, section 2.2).
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

/// Softmax over all experts; chosen by probability + bias; weights are the probabilities without the bias, divided by their
/// sum or `norm_min`, whichever is larger.
struct ernie4_5_moe {
  static constexpr std::string_view name = "ERNIE 4.5";
  static constexpr std::array<std::string_view, 1> model_types{"ernie4_5_moe"};

  struct shape {
    index model = 2560;
    index hidden = 1536;
    index experts = 64;
    index k = 6;
    double norm_min = 1e-12;
    index shared_hidden = 3072;
  };

  template <class T>
  using gate = headgate::gate<linear_head<T>, softmax, adjusted<selection_bias<T>, top_k<>>, renormalised_at_least<T>>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return moe_policies<gate<T>, swiglu_expert<T>, swiglu_expert<T>>{
        .gate = {.head = {.model = s.model, .experts = s.experts},
                 .select = {.select = {.k = s.k}},
                 .weigh = {.epsilon = static_cast<T>(s.norm_min)}},
        .expert = {.model = s.model, .hidden = s.hidden},
        .shared = {.model = s.model, .hidden = s.shared_hidden}};
  }

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    expect(c, "hidden_act", "silu");
    expect_off(c, "use_bias");
    const index hidden = c.integer("moe_intermediate_size");
    return {.model = c.integer("hidden_size"),
            .hidden = hidden,
            .experts = c.integer("moe_num_experts"),
            .k = c.integer("moe_k"),
            .norm_min = c.number("moe_norm_min", 1e-12),
            .shared_hidden = hidden * at_least_one(c, "moe_num_shared_experts")};
  }

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("model.layers.", layer, ".mlp.")};
  }

  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, whole("gate.weight", s.experts, s.model));
    f(p.gate.select.adjust.selection_bias, whole("moe_statics.e_score_correction_bias", 1, s.experts));
    glu_tensors_of_each(p.experts, proj_names, s.model, s.hidden, f);
    glu_tensors(p.shared, "shared_experts.", proj_names, s.model, s.shared_hidden, f);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
