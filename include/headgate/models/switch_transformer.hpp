// SPDX-License-Identifier: BSD-3-Clause
// Switch Transformer (Fedus et al. 2021, arXiv:2101.03961).
#pragma once

#include <headgate/activations/relu.hpp>
#include <headgate/config.hpp>
#include <headgate/experts/ffn.hpp>
#include <headgate/gates/named.hpp>
#include <headgate/models/expect.hpp>
#include <headgate/models/expert_tensors.hpp>
#include <headgate/models/family.hpp>

#include <array>
#include <string>
#include <string_view>

namespace headgate {
inline namespace HEADGATE_ABI {

/// Softmax, the best expert, its probability as it is (eq. 2). An expert takes `capacity` tokens of a batch, in order; what
/// is above gets nothing from the layer. Here a batch is what the model's own code calls a sequence.
struct switch_transformer {
  static constexpr std::string_view name = "Switch";
  static constexpr std::array<std::string_view, 1> model_types{"switch_transformers"};

  struct shape {
    index model = 768;
    index hidden = 2048;
    index experts = 8;
    index capacity = 64;  ///< tokens an expert takes; 0: all
  };

  template <class T>
  using gate = softmax_topk_gate<T>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    moe_policies<gate<T>, ffn_expert<T, relu>> p{
        .gate = {.head = {.model = s.model, .experts = s.experts}, .select = {.k = 1}},
        .expert = {.model = s.model, .hidden = s.hidden}};
    p.options.capacity.fixed = s.capacity;
    return p;
  }

  [[nodiscard]] static shape read(const model_config& c, index /*layer*/) {
    expect(c, "dense_act_fn", "relu");
    expect_off(c, "router_bias");
    return {.model = c.integer("d_model"),
            .hidden = c.integer("d_ff"),
            .experts = c.integer("num_experts"),
            .capacity = c.integer("expert_capacity")};
  }

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("encoder.block.", layer, ".layer.1.mlp.")};
  }

  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, whole("router.classifier.weight", s.experts, s.model));
    for (index e = 0; e < s.experts; ++e) {
      f(p.experts[e].up, whole(sentence("experts.expert_", e, ".wi.weight"), s.hidden, s.model));
      f(p.experts[e].down, whole(sentence("experts.expert_", e, ".wo.weight"), s.model, s.hidden));
    }
  }
};

/// The same blocks in the decoder, which has layers of the same numbers; not among `loadable_families`, because config.json
/// does not tell them apart.
struct switch_decoder : switch_transformer {
  static constexpr std::string_view name = "Switch, decoder";

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("decoder.block.", layer, ".layer.2.mlp.")};
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
