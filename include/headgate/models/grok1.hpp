// SPDX-License-Identifier: BSD-3-Clause
// Grok-1 (xAI 2024; github.com/xai-org/grok-1, model.py).
#pragma once

#include <headgate/activations/gelu_tanh.hpp>
#include <headgate/config.hpp>
#include <headgate/experts/glu.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/models/expert_tensors.hpp>
#include <headgate/models/family.hpp>

#include <array>
#include <string>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Softmax over all experts, the k best, not renormalised (some engines do renormalise: a deviation). GELU, in the tanh form
/// that is the default of the authors' library, gates the experts.
///
/// Tensor names are those of the public conversion to safetensors; the released file is of another format.
struct grok1 {
  static constexpr std::string_view name = "Grok-1";
  static constexpr std::array<std::string_view, 3> model_types{"grok-1", "grok1", "grok"};

  struct shape {
    index model = 6144;
    index hidden = 32768;
    index experts = 8;
    index k = 2;
  };

  template <class T>
  using gate = softmax_topk_gate<T>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    return moe_policies<gate<T>, glu_expert<T, gelu_tanh>>{
        .gate = {.head = {.model = s.model, .experts = s.experts}, .select = {.k = s.k}},
        .expert = {.model = s.model, .hidden = s.hidden}};
  }

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    return {.model = c.integer("hidden_size"),
            .hidden = c.integer("intermediate_size"),
            .experts = c.integer({"num_experts", "num_local_experts"}),
            .k = c.integer("num_experts_per_tok")};
  }

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("model.layers.", layer, ".moe_block.")};
  }

  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, whole("gate.weight", s.experts, s.model));
    glu_tensors_of_each(p.experts, {"linear.weight", "linear_v.weight", "linear_1.weight"}, s.model, s.hidden, f);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
