// SPDX-License-Identifier: BSD-3-Clause
// MiniMax-M2 (MiniMax 2025).
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

/// s = sigmoid(z); chosen by s + bias; weights are s without the bias, divided by their sum (no epsilon), not scaled.
struct minimax_m2 {
  static constexpr std::string_view name = "MiniMax-M2";
  static constexpr std::array<std::string_view, 1> model_types{"minimax_m2"};

  struct shape {
    index model = 3072;
    index hidden = 1536;
    index experts = 256;
    index k = 8;
  };

  template <class T>
  using gate = headgate::gate<linear_head<T>, sigmoid_score, adjusted<selection_bias<T>, top_k<>>, renormalised>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return moe_policies<gate<T>, swiglu_expert<T>>{
        .gate = {.head = {.model = s.model, .experts = s.experts}, .select = {.select = {.k = s.k}}},
        .expert = {.model = s.model, .hidden = s.hidden}};
  }

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    expect(c, "hidden_act", "silu");
    expect(c, "scoring_func", "sigmoid");
    return {.model = c.integer("hidden_size"),
            .hidden = c.integer("intermediate_size"),
            .experts = c.integer("num_local_experts"),
            .k = c.integer("num_experts_per_tok")};
  }

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("model.layers.", layer, ".block_sparse_moe.")};
  }

  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, whole("gate.weight", s.experts, s.model));
    f(p.gate.select.adjust.selection_bias, vector_of("e_score_correction_bias", s.experts));
    glu_tensors_of_each(p.experts, w_names, s.model, s.hidden, f);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
