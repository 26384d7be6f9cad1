// SPDX-License-Identifier: BSD-3-Clause
// Hunyuan-A13B (Tencent 2025).
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

/// Softmax over all experts, the k best, divided by their sum or the smallest float above 1 minus 1, whichever is larger
/// (no divisor where k = 1). One shared expert.
///
/// Sources disagree on dropping. The authors' first code lets an expert take max(k, k tokens / experts, rounded down)
/// tokens, first choices first, even in inference; the later public code drops nothing. `drops` is the first; off unless
/// config.json says moe_drop_tokens, because a dropped token depends on its neighbours.
struct hunyuan {
  static constexpr std::string_view name = "Hunyuan";
  static constexpr std::array<std::string_view, 2> model_types{"hunyuan_v1_moe", "hunyuan"};

  struct shape {
    index model = 4096;
    index hidden = 3072;
    index experts = 64;
    index k = 8;
    index shared_hidden = 3072;
    bool drops = false;
  };

  template <class T>
  using gate = headgate::gate<linear_head<T>, softmax, top_k<>, switched<renormalised_at_least<T>>>;

  template <class T>
  [[nodiscard]] static auto policies(const shape& s) {
    moe_policies<gate<T>, swiglu_expert<T>, swiglu_expert<T>> p{
        .gate = {.head = {.model = s.model, .experts = s.experts},
                 .select = {.k = s.k},
                 .weigh = {.weigh = {.epsilon = T(1.1920928955078125e-07)}, .on = s.k > 1}},
        .expert = {.model = s.model, .hidden = s.hidden},
        .shared = {.model = s.model, .hidden = s.shared_hidden}};
    if (s.drops) p.options.capacity = {.factor = 1, .minimum = s.k, .drop = drop::by_choice, .round = rounding::down};
    return p;
  }

  /// Sizes may be lists with an entry for each layer.
  [[nodiscard]] static shape read(const model_config& c, index layer) {
    expect(c, "hidden_act", "silu");
    const index hidden =
        c.has("moe_intermediate_size") ? entry_of(c, "moe_intermediate_size", layer) : c.integer("intermediate_size");
    const index shared = c.has("num_shared_expert") ? entry_of(c, "num_shared_expert", layer) : 1;
    return {.model = c.integer("hidden_size"),
            .hidden = hidden,
            .experts = entry_of(c, "num_experts", layer),
            .k = entry_of(c, "moe_topk", layer),
            .shared_hidden = c.integer("intermediate_size") * shared,
            .drops = c.flag("moe_drop_tokens", false)};
  }

  [[nodiscard]] static std::array<std::string, 1> prefixes(index layer) {
    return {sentence("model.layers.", layer, ".mlp.")};
  }

  template <class Parameters, class F>
  static void tensors(const shape& s, Parameters& p, const F& f) {
    f(p.gate.head.weight, whole("gate.wg.weight", s.experts, s.model));
    glu_tensors_of_each(p.experts, proj_names, s.model, s.hidden, f);
    glu_tensors(p.shared, "shared_mlp.", proj_names, s.model, s.shared_hidden, f);
  }
};

}  // namespace HEADGATE_ABI
}  // namespace headgate
