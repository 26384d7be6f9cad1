// SPDX-License-Identifier: BSD-3-Clause
// Mixtral (Jiang et al. 2024, arXiv:2401.04088) and MiniMax-01, which has the same block.
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

/// Logits, softmax over all experts, the k best, divided by their sum (no epsilon).
struct mixtral {
  static constexpr std::string_view name = "Mixtral";
  static constexpr std::array<std::string_view, 2> model_types{"mixtral", "minimax"};

  struct shape {
    index model = 4096;
    index hidden = 14336;
    index experts = 8;
    index k = 2;
  };

  template <class T>
  using gate = headgate::gate<linear_head<T>, softmax, top_k<>, renormalised>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return moe_policies<gate<T>, swiglu_expert<T>>{
        .gate = {.head = {.model = s.model, .experts = s.experts}, .select = {.k = s.k}},
        .expert = {.model = s.model, .hidden = s.hidden}};
  }

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    expect(c, "hidden_act", "silu");
    expect(c, "scoring_func", "softmax");  // MiniMax-M2 was first published as "minimax" too
    expect_off(c, "use_routing_bias");
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
    glu_tensors_of_each(p.experts, w_names, s.model, s.hidden, f);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
